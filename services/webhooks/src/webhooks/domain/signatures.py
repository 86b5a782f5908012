"""Secrets and signatures. Source: Standard Webhooks 1.0, "Signature scheme"."""

import base64
import binascii
import hmac
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, assert_never

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

Scheme = Literal["hmac-sha256", "ed25519"]
SECRET_BYTES = 32
_HMAC, _PRIVATE, _PUBLIC = "whsec_", "whsk_", "whpk_"


@dataclass(frozen=True, slots=True, repr=False)
class Secret:
    """What one endpoint's messages are signed with."""

    text: str
    """`whsec_` or `whsk_`, and base64."""

    @property
    def public(self) -> str:
        """The key that a receiver verifies with, `whpk_`; the secret itself for HMAC."""
        if self.text.startswith(_HMAC):
            return self.text
        return _PUBLIC + _encoded(self._private().public_key().public_bytes_raw())

    def signature(self, content: bytes) -> str:
        """Return the signature with its version."""
        if self.text.startswith(_HMAC):
            return "v1," + _encoded(hmac.digest(self._raw(), content, "sha256"))
        return "v1a," + _encoded(self._private().sign(content))

    def _private(self) -> Ed25519PrivateKey:
        return Ed25519PrivateKey.from_private_bytes(self._raw())

    def _raw(self) -> bytes:
        try:
            return base64.b64decode(self.text.partition("_")[2], validate=True)
        except binascii.Error:
            raise ValueError("secret: not base64") from None


def secret_of(scheme: Scheme, material: bytes) -> Secret:
    """Return the secret that 32 random bytes are."""
    match scheme:
        case "hmac-sha256":
            return Secret(_HMAC + _encoded(material))
        case "ed25519":
            return Secret(_PRIVATE + _encoded(material))
        case _:
            assert_never(scheme)


def headers_of(
    message_id: str, at_s: int, body: bytes, secrets: Iterable[Secret]
) -> dict[str, str]:
    """Return the headers of one attempt: a signature under each secret that is in force."""
    content = f"{message_id}.{at_s}.".encode() + body
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(at_s),
        "webhook-signature": " ".join(one.signature(content) for one in secrets),
    }


def _encoded(raw: bytes) -> str:
    return base64.b64encode(raw).decode()
