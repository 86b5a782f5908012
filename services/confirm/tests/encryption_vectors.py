"""Makes `encryption-vectors.json`: every refusal of an encrypted request, and what is accepted.

Each vector is a compact JWE, when it came, for whom, and the result: the fields of its body, or
`refused`. All refusals have one answer, except those of the body, which have its own. To make the
file again: python services/confirm/tests/encryption_vectors.py
"""

import base64
import json
import zlib
from datetime import UTC, datetime
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from joserfc import jwe, jwk
from joserfc.registry import HeaderParameter

from service_runtime.encryption_keys import blocks_of, new_block, opening_keys, text_of

FILE = Path(__file__).with_name("encryption-vectors.json")
PASSPHRASE = "of the vectors"
AT = datetime(2026, 3, 2, 12, tzinfo=UTC)
NOW_S = int(AT.timestamp())
BODY = {
    "transaction_id": "tx-987",
    "amount": "5200.00",
    "currency": "USD",
    "from_account": "acc-1",
    "to_account": "payee-xyz",
}
HEADER = {"enc": "A256GCM", "transaction_id": "tx-987", "iat": NOW_S, "exp": NOW_S + 300}
CONTENT = {"sub": "usr-456", "jti": "0b9f6a1e-0000-4000-8000-000000000001", "body": BODY}
ALGORITHMS = {"EC": "ECDH-ES+A256KW", "RSA": "RSA-OAEP-256"}
OTHER_ALGORITHMS = {
    "EC": ("ECDH-ES", "ECDH-ES+A128KW", "ECDH-ES+A192KW"),
    "RSA": ("RSA-OAEP", "RSA1_5"),
}
OTHER_ENCRYPTIONS = ("A128GCM", "A192GCM", "A128CBC-HS256", "A192CBC-HS384", "A256CBC-HS512")


AMOUNT = "must be positive, with at most 2 decimals"
KEY = "must agree with the Idempotency-Key header"
FAULTS = (
    ("no amount is one", {"amount": "-1"}, ("Invalid field: amount", AMOUNT)),
    ("a field too many", {"memo": "x"}, ("Unknown field: memo", None)),
    (
        "a card number",
        {"to_account": "4111111111111111"},
        ("Invalid field: to_account", "must not be a card number"),
    ),
    ("a short code", {"otp_code": "12345"}, ("Invalid field: otp_code", "must be 6 digits")),
    ("another key", {"idempotency_key": "other"}, ("Invalid field: idempotency_key", KEY)),
    ("no transaction", {"transaction_id": ...}, ("Missing field: transaction_id", None)),
)
"""Faults of a body: name, changes, and the error with its details."""


class Maker:
    """Makes requests for one key."""

    def __init__(self, key):
        self.key, self.kind = key, key.kind
        self.jwk = jwk.import_key(key.public.public_bytes(*_PEM), key.kind)

    def header(self, **changes):
        made = {"alg": ALGORITHMS[self.kind], "kid": self.key.kid, **HEADER, **changes}
        return {name: value for name, value in made.items() if value is not ...}

    def request(self, *, content=None, key=None, plain=None, **changes):
        """Return a request; `changes` of its header, where ... removes a name."""
        header = self.header(**changes)
        times = {name: header.get(name, HEADER[name]) for name in ("iat", "exp")}
        made = {**CONTENT, **times, **(content or {})}
        made = {name: value for name, value in made.items() if value is not ...}
        text = json.dumps(made) if plain is None else plain
        return _encrypt(header, text, key or self.jwk)


def _encrypt(header, text, key):
    registry = jwe.JWERegistry(
        dict.fromkeys(("transaction_id", "iat", "exp", "x"), HeaderParameter("", lambda _: None)),
        algorithms=[header["alg"], header["enc"], "DEF"],
    )
    return jwe.encrypt_compact(header, text, key, registry=registry)


def text_of_header(token):
    return json.loads(_decoded(token.split(".")[0]))


def with_header(token, text):
    """Put another header before a request, whose tag no longer fits."""
    return ".".join([_encoded(text.encode()), *token.split(".")[1:]])


def under_known_key(header, cek, plain):
    """Return a request whose content key is not wrapped: the rest is right."""
    aad = _encoded(json.dumps(header).encode())
    sealed = AESGCM(cek).encrypt(bytes(12), plain, aad.encode())
    return [aad, bytes(12), sealed[:-16], sealed[-16:]]


def altered(token, part):
    """Change one bit of a part."""
    segments = token.split(".")
    raw = bytearray(_decoded(segments[part]))
    raw[len(raw) // 2] ^= 1
    segments[part] = _encoded(bytes(raw))
    return ".".join(segments)


def accepted(maker):
    yield "as a client makes it", maker.request()
    yield "the shortest life", maker.request(exp=NOW_S + 1)
    yield "the client's clock is 30 s ahead", maker.request(iat=NOW_S + 30, exp=NOW_S + 330)
    yield "the last second", maker.request(iat=NOW_S - 299, exp=NOW_S + 1)


def refused(maker, other):
    yield from _other_algorithms(maker, other)
    yield from _tampered(maker)
    yield from _headers(maker)
    yield from _times(maker)
    yield from _contents(maker)


def _other_algorithms(maker, other):
    for name in OTHER_ALGORITHMS[maker.kind]:
        yield f"alg {name}", maker.request(alg=name)
    for name in OTHER_ENCRYPTIONS:
        yield f"enc {name}", maker.request(enc=name)
    secret = jwk.OctKey.import_key(b"k" * 32)
    yield "alg dir, under a key that the client has chosen", maker.request(alg="dir", key=secret)
    yield "alg A256KW, likewise", maker.request(alg="A256KW", key=secret)
    public = jwk.OctKey.import_key(json.dumps(maker.jwk.as_dict(private=False)).encode()[:32])
    yield "alg A256KW under the bytes of the public key", maker.request(alg="A256KW", key=public)
    yield "zip DEF", maker.request(zip="DEF")
    yield (
        "zip DEF in the header alone",
        with_header(maker.request(), json.dumps(maker.header(zip="DEF"))),
    )
    yield "compressed without zip", maker.request(plain=zlib.compress(json.dumps(CONTENT).encode()))
    yield "the kid of a key of the other type", maker.request(kid=other.key.kid)
    foreign = other.request(kid=maker.key.kid)
    yield "made for a key of the other type", foreign
    yield "an unknown kid", maker.request(kid="0123456789abcdef")
    stranger = _stranger(maker.kind)
    yield "another key than kid says", maker.request(key=stranger)


def _tampered(maker):
    token = maker.request()
    for part, name in enumerate(("header", "encrypted key", "iv", "ciphertext", "tag")):
        yield f"one bit of the {name} is another", altered(token, part)
        segments = token.split(".")
        segments[part] = ""
        yield f"an empty {name}", ".".join(segments)
    segments = token.split(".")
    yield "a shorter tag", ".".join([*segments[:4], _encoded(_decoded(segments[4])[:12])])
    yield "a longer iv", ".".join([*segments[:2], _encoded(bytes(16)), *segments[3:]])
    yield "the tag of another request", ".".join([*segments[:4], maker.request().split(".")[4]])
    yield (
        "the encrypted key of another request",
        ".".join([segments[0], maker.request().split(".")[1], *segments[2:]]),
    )
    yield "four parts", ".".join(segments[:4])
    yield "six parts", f"{token}.{segments[4]}"
    yield "padding", f"{token}=="
    yield "a space", f"{token} "
    yield "a line break at the end", f"{token}\n"
    yield "not ASCII", f"{token}é"
    yield "base64 with + and /", ".".join([*segments[:3], "+/+/", segments[4]])
    yield "no request at all", "no request"
    yield "a JSON serialization", json.dumps({"protected": segments[0], "tag": segments[4]})
    yield "over 16 KiB", maker.request(content={"body": {**BODY, "otp_code": "1" * 13_000}})
    header, cek = maker.header(), b"k" * 32
    aad, iv, text, tag = under_known_key(header, cek, json.dumps(CONTENT).encode())
    yield "the content key is sent as it is", ".".join([aad, *map(_encoded, (cek, iv, text, tag))])


def _headers(maker):
    token = maker.request()
    for name, value in {
        "crit": ["exp"],
        "apu": "QQ",
        "apv": "QQ",
        "jku": "https://attacker.example/keys",
        "jwk": maker.jwk.as_dict(private=False),
        "x5u": "https://attacker.example/cert",
        "cty": "JWE",
        "typ": "JWT",
        "x": 1,
    }.items():
        changed = {**text_of_header(token), name: value}
        yield f"a header with {name}", with_header(token, json.dumps(changed))
    for name in ("alg", "enc", "kid", "iat", "exp"):
        changed = {**text_of_header(token)}
        del changed[name]
        yield f"a header without {name}", with_header(token, json.dumps(changed))
    for name, value in (("kid", 1), ("kid", "../etc"), ("alg", None), ("enc", ["A256GCM"])):
        changed = {**text_of_header(token), name: value}
        yield f"{name} is {value!r}", with_header(token, json.dumps(changed))
    for text, name in (("[]", "a list"), ("{", "no JSON"), ('"x"', "a text"), ("\xff", "no UTF-8")):
        yield f"the header is {name}", with_header(token, text)
    doubled = json.dumps(text_of_header(token))[:-1] + ', "kid": "0123456789abcdef"}'
    yield "a name twice in the header", with_header(token, doubled)
    if maker.kind == "EC":
        yield from _ephemeral_keys(token)


def _ephemeral_keys(token):
    header = text_of_header(token)
    zero = _encoded(bytes(32))
    good = header["epk"]
    for name, epk in {
        "not on the curve": {**good, "y": good["x"]},
        "the point at infinity": {**good, "x": zero, "y": zero},
        "of another curve": {**good, "crv": "P-384"},
        "with a private part": {**good, "d": zero},
        "with short coordinates": {**good, "x": "AQ"},
        "of another type": {**good, "kty": "OKP"},
        "that is a text": "epk",
        "with numbers": {**good, "x": 1},
    }.items():
        yield f"an ephemeral key {name}", with_header(token, json.dumps({**header, "epk": epk}))
    del header["epk"]
    yield "no ephemeral key", with_header(token, json.dumps(header))


def _times(maker):
    yield "expired", maker.request(iat=NOW_S - 300, exp=NOW_S)
    yield "expired for long", maker.request(iat=NOW_S - 900, exp=NOW_S - 600)
    yield "a life of more than 5 minutes", maker.request(exp=NOW_S + 301)
    yield "from the future", maker.request(iat=NOW_S + 31, exp=NOW_S + 331)
    yield "expires before it was made", maker.request(iat=NOW_S, exp=NOW_S - 1)
    yield "no life", maker.request(iat=NOW_S + 1, exp=NOW_S + 1)
    for value in ("text", 1.5, -1, 1e300, True, None):
        yield f"exp is {value!r}", maker.request(exp=value)
    yield "other times inside", maker.request(content={"exp": NOW_S + 299})


def _contents(maker):
    for name in ("sub", "iat", "exp", "jti", "body"):
        yield f"no {name} inside", maker.request(content={name: ...})
    yield "another user's", maker.request(content={"sub": "usr-457"})
    yield "a sub that is no text", maker.request(content={"sub": 1})
    yield "a name too many inside", maker.request(content={"aud": "countersign"})
    yield "a jti that is too short", maker.request(content={"jti": "1"})
    yield "a jti that is no text", maker.request(content={"jti": 1234567890123456})
    yield (
        "another transaction inside",
        maker.request(content={"body": {**BODY, "transaction_id": "tx-988"}}),
    )
    yield "for another transaction", maker.request(transaction_id="tx-988")
    for plain, name in (("", "nothing"), ("{", "no JSON"), ("[]", "a list"), (b"\xff", "no UTF-8")):
        yield f"{name} inside", maker.request(plain=plain)
    doubled = json.dumps({**CONTENT, "iat": NOW_S, "exp": NOW_S + 300})[:-1] + ', "sub": "usr-1"}'
    yield "a name twice inside", maker.request(plain=doubled)


def bodies(maker):
    """Requests whose body is refused by the name of its fault, as a plain one is."""
    for name, changes, answer in FAULTS:
        body = {key: value for key, value in {**BODY, **changes}.items() if value is not ...}
        error, details = answer
        expected = {"error": error, **({"details": details} if details else {})}
        yield name, maker.request(content={"body": body}), expected
    yield "a list as body", maker.request(content={"body": []}), {"error": "Malformed JSON"}


def _stranger(kind):
    if kind == "EC":
        return jwk.ECKey.generate_key("P-256")
    return jwk.RSAKey.import_key(
        rsa.generate_private_key(65537, 2048).public_key().public_bytes(*_PEM)
    )


def _decoded(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _encoded(raw):
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def _pem():
    from cryptography.hazmat.primitives.serialization import (  # noqa: PLC0415
        Encoding,
        PublicFormat,
    )

    return Encoding.PEM, PublicFormat.SubjectPublicKeyInfo


_PEM = _pem()


def make():
    """Return the whole file."""
    rings = {kind: text_of([new_block(kind, PASSPHRASE)]) for kind in ("EC", "RSA")}
    makers = {kind: Maker(opening_keys(text, PASSPHRASE)[0]) for kind, text in rings.items()}
    vectors = []
    for maker, other in ((makers["EC"], makers["RSA"]), (makers["RSA"], makers["EC"])):
        for comment, token in accepted(maker):
            vectors.append(_vector(maker, comment, token, "accepted"))
        for comment, token in refused(maker, other):
            vectors.append(_vector(maker, comment, token, "refused"))
        for comment, token, answer in bodies(maker):
            vectors.append(_vector(maker, comment, token, answer))
    return {
        "about": "Encrypted confirm requests, each with its result: accepted, refused by the one"
        " answer, or refused for its body by that body's answer. Made by encryption_vectors.py.",
        "at": AT.isoformat(),
        "user_id": CONTENT["sub"],
        "transaction_id": HEADER["transaction_id"],
        "idempotency_key": "abc-123",
        "body": BODY,
        "passphrase": PASSPHRASE,
        "rings": {kind: blocks_of(text)[0].pem for kind, text in rings.items()},
        "vectors": vectors,
    }


def _vector(maker, comment, token, result):
    return {"key": maker.kind, "comment": comment, "jwe": token, "result": result}


if __name__ == "__main__":
    FILE.write_text(json.dumps(make(), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
