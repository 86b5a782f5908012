"""Files of keys that open encrypted requests: what is read from them, and what is refused."""

import base64
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from service_runtime.encryption_keys import (
    KeyBlock,
    blocks_of,
    jwk_members,
    key_id,
    new_block,
    opening_keys,
    public_key_of,
    replaced,
    require_private,
    text_of,
)

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
BLOCK = new_block("EC", "secret")


def pem_of(public):
    return public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def test_a_file_is_read_as_it_was_written():
    blocks = [BLOCK, KeyBlock(BLOCK.kid, BLOCK.pem, NOON)]
    assert blocks_of(text_of(blocks)) == blocks
    assert blocks_of(text_of(blocks).strip()) == blocks
    assert "secret" not in repr(blocks)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no key",
        BLOCK.pem,
        text_of([BLOCK]) + "rest",
        "before\n" + text_of([BLOCK]),
        text_of([BLOCK]).replace("kid=", "kid=x"),
        text_of([BLOCK]).replace("\n-----BEGIN", " until=tomorrow\n-----BEGIN", 1),
        text_of([BLOCK]).replace("\n-----BEGIN", " until=2026-03-02T12:00:00\n-----BEGIN", 1),
        text_of([BLOCK]).replace("ENCRYPTED PRIVATE", "PRIVATE"),
    ],
)
def test_a_file_of_another_form_is_refused(text):
    with pytest.raises(ValueError, match=r"must h|Invalid isoformat"):
        blocks_of(text)


def test_a_key_is_opened_by_its_passphrase_alone():
    (key,) = opening_keys(text_of([BLOCK]), "secret")
    assert (key.kid, key.kind) == (BLOCK.kid, "EC")
    with pytest.raises(ValueError, match=BLOCK.kid):
        opening_keys(text_of([BLOCK]), "another")


def test_a_key_under_another_id_is_refused():
    with pytest.raises(ValueError, match="is another key"):
        opening_keys(text_of([KeyBlock("0123456789abcdef", BLOCK.pem)]), "secret")


@pytest.mark.parametrize(
    "public",
    [
        rsa.RSAPublicNumbers(65537, 2**1023 + 1).public_key(),
        ec.generate_private_key(ec.SECP384R1()).public_key(),
        ed25519.Ed25519PrivateKey.generate().public_key(),
    ],
    ids=["RSA-1024", "P-384", "Ed25519"],
)
def test_a_weak_or_foreign_key_is_refused(public):
    with pytest.raises(ValueError, match="must be EC P-256, or RSA"):
        public_key_of(pem_of(public))


def test_the_id_is_the_head_of_the_thumbprint_of_rfc_7638():
    """The example of RFC 7638, 3.1: NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs."""
    modulus = (
        "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMs"
        "tn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbI"
        "SD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw"
    )
    public = rsa.RSAPublicNumbers(65537, int.from_bytes(_decoded(modulus))).public_key()
    thumbprint = _decoded("NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs")
    assert key_id(public) == thumbprint.hex()[:16]
    assert jwk_members(public) == {"kty": "RSA", "n": modulus, "e": "AQAB"}


def test_coordinates_keep_their_leading_zeros():
    private = ec.derive_private_key(1, ec.SECP256R1())
    members = jwk_members(private.public_key())
    assert {len(members["x"]), len(members["y"])} == {43}
    numbers = ec.EllipticCurvePublicNumbers(5, _y_of_5(), ec.SECP256R1())
    assert len(jwk_members(numbers.public_key())["x"]) == 43


def test_only_the_former_current_key_gets_an_end():
    other, third = new_block("EC", "p"), new_block("EC", "p")
    rotated = replaced([BLOCK, other], [third, BLOCK, other], NOON)
    assert [one.until for one in rotated] == [None, NOON + timedelta(hours=24), None]
    used = replaced(rotated, [rotated[1], rotated[0], rotated[2]], NOON)
    assert [one.until for one in used] == [None, NOON + timedelta(hours=24), None]


def test_a_file_that_others_may_read_is_refused(tmp_path):
    file = tmp_path / "keys"
    file.write_text("")
    file.chmod(0o400)
    require_private(file)
    for mode in (0o440, 0o404, 0o444, 0o602):
        file.chmod(mode)
        with pytest.raises(ValueError, match=f"mode {mode:04o}"):
            require_private(file)


def _decoded(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _y_of_5():
    """The y of the curve's point with x = 5: its first coordinate has 31 leading zero bytes."""
    p = 2**256 - 2**224 + 2**192 + 2**96 - 1
    b = 0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B
    return pow((125 - 15 + b) % p, (p + 1) // 4, p)
