"""Signatures of messages: a detached JWS (RFC 7515 appendix F, RFC 7797), EdDSA with Ed25519.

The signed bytes are the protected header, a point and the value as it is in the record. The header
repeats the topic, `ce_id`, `ce_type` and `ce_time`: compare them, or a message of another topic or
day passes.
"""

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

SIGNED_HEADERS = ("ce_id", "ce_type", "ce_time")


class BadSignature(ValueError):  # noqa: N818 - it names what the message has
    """The message does not come from a valid key of its sender. Do nothing but log it."""


@dataclass(frozen=True)
class SigningKey:
    """A private key and its id."""

    kid: str
    private: Ed25519PrivateKey = field(repr=False)

    @classmethod
    def new(cls, kid: str) -> "SigningKey":
        """Make a key."""
        return cls(kid, Ed25519PrivateKey.generate())

    @classmethod
    def read(cls, kid: str, file: Path) -> "SigningKey":
        """Read a key of PKCS #8 in PEM."""
        private = load_pem_private_key(file.read_bytes(), None)
        if not isinstance(private, Ed25519PrivateKey):
            raise ValueError(f"{file}: must be an Ed25519 key")  # noqa: TRY004 - of a file
        return cls(kid, private)

    def write(self, file: Path) -> None:
        """Write the key to a new file that only its owner can read."""
        pem = self.private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        file.touch(mode=0o600, exist_ok=False)
        file.write_bytes(pem)

    def jwk(self, **limits: int) -> dict[str, Any]:
        """Return the public half as a JSON Web Key; limits: `nbf`, `exp`."""
        x = _text(self.private.public_key().public_bytes_raw())
        head = {"kty": "OKP", "crv": "Ed25519", "use": "sig", "alg": "EdDSA"}
        return {**head, "kid": self.kid, "x": x, **limits}


def sign(value: bytes, *, topic: str, headers: Mapping[str, str], key: SigningKey) -> str:
    """Return the text of the record's header `signature`."""
    protected = {"alg": "EdDSA", "b64": False, "crit": ["b64"], "kid": key.kid, "topic": topic}
    protected |= {name: headers[name] for name in SIGNED_HEADERS}
    head = _text(json.dumps(protected, separators=(",", ":")).encode())
    return f"{head}..{_text(key.private.sign(head.encode() + b'.' + value))}"


def verify(
    value: bytes,
    *,
    topic: str,
    headers: Mapping[str, str],
    jwks: Mapping[str, Any],
    now: datetime,
) -> str:
    """Return the id of the key that has signed a record. Raises BadSignature."""
    head, protected, signature = _parts(headers.get("signature", ""))
    key = next((one for one in jwks["keys"] if one.get("kid") == protected.get("kid")), None)
    if key is None or key.get("kty") != "OKP" or key.get("crv") != "Ed25519":
        raise BadSignature("kid: not a key of the sender")
    if not key.get("nbf", 0) <= now.timestamp() < key.get("exp", float("inf")):
        raise BadSignature("kid: the key has expired, or is not valid yet")
    try:
        public = Ed25519PublicKey.from_public_bytes(_bytes(key["x"]))
        public.verify(signature, head.encode() + b"." + value)
    except InvalidSignature:
        raise BadSignature("does not fit the value") from None
    for name in SIGNED_HEADERS:
        if protected.get(name) != headers.get(name):
            raise BadSignature(f"{name}: signed with another one")
    if protected.get("topic") != topic:
        raise BadSignature("topic: signed for another one")
    return str(key["kid"])


def _parts(text: str) -> tuple[str, dict[str, Any], bytes]:
    head, _, rest = text.partition(".")
    payload, _, signature = rest.partition(".")
    try:
        protected, raw = json.loads(_bytes(head)), _bytes(signature)
    except (ValueError, RecursionError):
        raise BadSignature("missing, or no detached JWS") from None
    rules = {"alg": "EdDSA", "b64": False, "crit": ["b64"]}
    if payload or not isinstance(protected, dict):
        raise BadSignature("missing, or no detached JWS")
    # The algorithm is not the sender's to choose.
    for name, rule in rules.items():
        if protected.get(name) != rule:
            raise BadSignature(f"{name}: must be {json.dumps(rule)}")
    return head, protected, raw


def _text(raw: bytes) -> str:
    return urlsafe_b64encode(raw).rstrip(b"=").decode()


def _bytes(text: str) -> bytes:
    raw = urlsafe_b64decode(text + "=" * (-len(text) % 4))
    if _text(raw) != text:
        raise ValueError("not base64url")
    return raw
