"""Only the sender's valid key signs a message, for one topic, id, type and time."""

import json
from datetime import timedelta

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from hypothesis import given
from hypothesis import strategies as st

from partner_messages.errors import BadSignature, Malformed
from partner_messages.keys import MAX_KEYS, Keys, SigningKey, base64url, bytes_of
from partner_messages.records import Attributes, signed_headers, verified
from partner_messages.signatures import sign, verify
from testkit.partners import KEYS, NOON, OURS, THEIRS, UETR

TOPIC = "settlement.reports.south-bank.v1"
SIGNED = {
    "topic": TOPIC,
    "event_id": str(UETR),
    "event_type": "settlement.report.v1",
    "time": NOON.isoformat(),
}
VALUE = b'{"status":"ACCEPTED"}'
SIGNATURE = sign(VALUE, key=OURS, **SIGNED)
ATTRIBUTES = Attributes(UETR, "settlement.report.v1", "/partners/south-bank", NOON)
HEADERS = signed_headers(TOPIC, VALUE, ATTRIBUTES, "application/json", OURS)


def refusal(signature=SIGNATURE, value=VALUE, keys=KEYS, now=NOON, **changed):
    """Return the reason for which a changed message is refused."""
    with pytest.raises(BadSignature) as refused:
        verify(value, signature, keys=keys, now=now, **(SIGNED | changed))
    return refused.value.reason


def forged(**changed):
    """Return a signature of a valid key whose header breaks a rule."""
    header = json.loads(bytes_of(SIGNATURE.split(".")[0])) | changed
    header = {name: text for name, text in header.items() if text is not None}
    head = base64url(json.dumps(header).encode())
    return f"{head}..{base64url(OURS.private.sign(head.encode() + b'.' + VALUE).signature)}"


def test_a_signed_message_names_its_key():
    assert verify(VALUE, SIGNATURE, keys=KEYS, now=NOON, **SIGNED) == "ours-1"


def test_a_library_of_others_verifies_the_signature():
    """PyJWT knows `b64` (RFC 7797); a bank may use any JOSE library."""
    public = Ed25519PublicKey.from_public_bytes(OURS.private.verify_key.encode())
    read = jwt.PyJWS().decode_complete(
        SIGNATURE, public, algorithms=["EdDSA"], detached_payload=VALUE
    )
    assert read["header"]["topic"] == TOPIC


def test_a_changed_value_is_forged():
    assert refusal(value=VALUE + b" ") == "forged"


@pytest.mark.parametrize("name", SIGNED)
def test_a_signature_fits_no_other_topic_id_type_or_time(name):
    assert refusal(**{name: "other"}) == "other_message"


def test_the_key_of_somebody_else_is_unknown_even_under_our_id():
    assert refusal(sign(VALUE, key=THEIRS, **SIGNED)) == "unknown_key"
    named_as_ours = SigningKey(OURS.kid, THEIRS.private)
    assert refusal(sign(VALUE, key=named_as_ours, **SIGNED)) == "forged"


@pytest.mark.parametrize(
    ("limits", "reason"),
    [
        pytest.param({"exp": 0}, "expired_key", id="expired at this second"),
        pytest.param({"exp": 1, "nbf": -5}, None, id="a second before"),
        pytest.param({"nbf": 1}, "early_key", id="valid from the next second on"),
        pytest.param({"nbf": 0}, None, id="valid from this second on"),
    ],
)
def test_a_key_is_valid_by_the_readers_clock(limits, reason):
    now = int(NOON.timestamp())
    keys = Keys.of([OURS.public(**{name: now + seconds for name, seconds in limits.items()})])
    if reason is None:
        assert verify(VALUE, SIGNATURE, keys=keys, now=NOON, **SIGNED)
    else:
        assert refusal(keys=keys) == reason


@pytest.mark.parametrize(
    "changed",
    [
        pytest.param({"alg": "none"}, id="no algorithm"),
        pytest.param({"alg": "HS256"}, id="an algorithm of shared secrets"),
        pytest.param({"b64": True}, id="an encoded payload"),
        pytest.param({"crit": ["b64", "exp"]}, id="a critical member that is unknown"),
        pytest.param({"crit": None}, id="nothing critical"),
        pytest.param({"kid": None}, id="no key id"),
        pytest.param({"kid": 7}, id="a key id that is no text"),
    ],
)
def test_a_header_that_breaks_a_rule_is_malformed(changed):
    assert refusal(forged(**changed)) == "malformed"


@pytest.mark.parametrize(
    ("signature", "reason"),
    [
        ("", "missing"),
        ("x" * 2049, "malformed"),
        (SIGNATURE.replace("..", "."), "malformed"),
        (SIGNATURE.replace("..", ".eyJ9."), "malformed"),
        (SIGNATURE + ".x", "malformed"),
        (SIGNATURE + "=", "malformed"),
        (base64url(b"[]") + "..eA", "malformed"),
        (base64url(b"[" * 1000) + "..eA", "malformed"),
        ("é..eA", "malformed"),
    ],
)
def test_a_text_that_is_no_detached_jws_is_refused(signature, reason):
    assert refusal(signature) == reason


def test_another_spelling_of_the_same_bytes_is_no_signature():
    """The last character has bits that no byte uses."""
    last = chr(ord(SIGNATURE[-1]) + 1)
    assert refusal(SIGNATURE[:-1] + last) == "malformed"


@given(st.text())
def test_no_text_makes_the_check_fail_in_another_way(text):
    assert refusal(text) in {"missing", "malformed", "unknown_key", "forged"}


@given(st.integers(0, len(SIGNATURE) - 1), st.characters())
def test_no_character_of_a_signature_can_change(position, character):
    changed = SIGNATURE[:position] + character + SIGNATURE[position + 1 :]
    if changed != SIGNATURE:
        assert refusal(changed) in {"malformed", "unknown_key", "forged"}


def test_a_record_is_verified_with_its_headers():
    assert verified(TOPIC, HEADERS, VALUE, KEYS, NOON) == ATTRIBUTES


def test_a_record_keeps_its_trace():
    trace = (("traceparent", "00-" + "1" * 32 + "-" + "2" * 16 + "-01"),)
    traced = Attributes(ATTRIBUTES.id, ATTRIBUTES.type, ATTRIBUTES.source, NOON, trace)
    headers = signed_headers(TOPIC, VALUE, traced, "application/json", OURS)
    assert verified(TOPIC, headers, VALUE, KEYS, NOON).trace == trace


@pytest.mark.parametrize("name", ["ce_id", "ce_type", "ce_time", "signature"])
def test_a_record_without_a_signed_header_is_refused(name):
    kept = [header for header in HEADERS if header[0] != name]
    with pytest.raises(BadSignature):
        verified(TOPIC, kept, VALUE, KEYS, NOON)


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"ce_specversion": b"2.0"}, "ce_specversion"),
        ({"ce_source": b""}, "ce_source"),
        ({"ce_type": b"\xff"}, "ce_type"),
    ],
)
def test_a_malformed_header_is_named(changed, field):
    with pytest.raises(Malformed) as refused:
        verified(TOPIC, (dict(HEADERS) | changed).items(), VALUE, KEYS, NOON)
    assert refused.value.field == field


@pytest.mark.parametrize(
    ("texts", "field"),
    [
        ({"event_id": "7"}, "ce_id"),
        ({"time": "yesterday"}, "ce_time"),
        ({"time": "2026-03-09T12:00:00"}, "ce_time"),
        ({"time": "0001-01-01T00:00:00+14:00"}, "ce_time"),
    ],
)
def test_a_signed_header_that_means_nothing_is_named(texts, field):
    signed = SIGNED | texts
    headers = dict(HEADERS) | {
        "ce_id": signed["event_id"].encode(),
        "ce_time": signed["time"].encode(),
        "signature": sign(VALUE, key=OURS, **signed).encode(),
    }
    with pytest.raises(Malformed) as refused:
        verified(TOPIC, headers.items(), VALUE, KEYS, NOON)
    assert refused.value.field == field


def test_a_header_that_is_there_twice_is_refused():
    with pytest.raises(Malformed, match="ce_id: the header is there twice"):
        verified(TOPIC, [*HEADERS, ("ce_id", b"other")], VALUE, KEYS, NOON)


def test_a_record_without_a_value_is_refused_even_if_signed():
    headers = signed_headers(TOPIC, b"", ATTRIBUTES, "application/json", OURS)
    with pytest.raises(Malformed, match="value: missing"):
        verified(TOPIC, headers, None, KEYS, NOON)


def test_a_key_set_is_read_as_it_was_published():
    keys = Keys.of([OURS.public(exp=int((NOON + timedelta(days=30)).timestamp())), THEIRS.public()])
    assert Keys.of_jwks(keys.jwks()).jwks() == keys.jwks()
    assert Keys.of_jwks(json.dumps(keys.jwks()).encode()).jwks() == keys.jwks()


ONE = OURS.public().model_dump(exclude_none=True)


@pytest.mark.parametrize(
    ("keys", "field"),
    [
        pytest.param([], "keys", id="no key"),
        pytest.param([ONE | {"kid": f"k{n}"} for n in range(MAX_KEYS + 1)], "keys", id="too many"),
        pytest.param([ONE, ONE], "keys.1.kid", id="one id twice"),
        pytest.param([ONE | {"d": ONE["x"]}], "keys.0.d", id="a private key"),
        pytest.param([ONE | {"crv": "X25519"}], "keys.0.crv", id="another curve"),
        pytest.param([ONE | {"kty": "RSA"}], "keys.0.kty", id="another kind"),
        pytest.param([ONE | {"x": ONE["x"][:-2]}], "keys.0.x", id="too short"),
        pytest.param([ONE | {"x": ONE["x"] + "="}], "keys.0.x", id="with padding"),
        pytest.param([ONE | {"kid": ""}], "keys.0.kid", id="no id"),
        pytest.param([ONE | {"exp": "soon"}], "keys.0.exp", id="no time"),
        pytest.param([ONE | {"use": "enc"}], "keys.0.use", id="a key to encrypt"),
        pytest.param({}, "keys", id="no list"),
    ],
)
def test_a_key_set_that_breaks_a_rule_names_the_member(keys, field):
    with pytest.raises(Malformed) as refused:
        Keys.of_jwks({"keys": keys})
    assert refused.value.field == field


@pytest.mark.parametrize(
    "raw", [b"", b"[]", b"{", b"\xff", b'{"keys":' + b"[" * 9000, b" " * 20_000]
)
def test_a_key_set_that_is_no_json_object_is_refused(raw):
    with pytest.raises(Malformed, match="keys"):
        Keys.of_jwks(raw)


def test_a_signing_key_does_not_print_its_secret():
    assert "private" not in repr(OURS)
