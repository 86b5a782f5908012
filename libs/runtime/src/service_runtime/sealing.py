"""Sealing: a value for one reader only, while it crosses topics and tables.

AES-256-GCM, a random 96-bit nonce, the payment's id as associated data, so that a sealed code
cannot be moved to another payment (NIST SP 800-38D).
"""

import base64
import binascii
import hashlib
import hmac
import os
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from payment_schemas.sealed import Personal, Sealed
from service_runtime.errors import Rejected

_NONCE_BYTES = 12
_KEY_ID_CHARACTERS = 8


class Sealer:
    """Seals and opens under one key; the key's id stands in front, so that keys can be changed."""

    def __init__(self, key: bytes) -> None:
        self._cipher = AESGCM(key)
        self._key_id = hashlib.sha256(b"countersign key id" + key).hexdigest()[:_KEY_ID_CHARACTERS]

    def seal(self, secret: str, payment_id: UUID) -> Sealed:
        """Return the secret, sealed for this payment."""
        nonce = os.urandom(_NONCE_BYTES)
        sealed = self._cipher.encrypt(nonce, secret.encode(), payment_id.bytes)
        return Sealed(f"{self._key_id}.{base64.urlsafe_b64encode(nonce + sealed).decode()}")

    def open(self, sealed: Sealed, payment_id: UUID) -> Personal:
        """Return the secret; raise Rejected where it is for another key or payment."""
        key_id, _, text = sealed.reveal().partition(".")
        if key_id != self._key_id:
            raise Rejected("sealed value: unknown key id")
        try:
            raw = base64.urlsafe_b64decode(text)
            plain = self._cipher.decrypt(raw[:_NONCE_BYTES], raw[_NONCE_BYTES:], payment_id.bytes)
        except (InvalidTag, ValueError, binascii.Error):
            raise Rejected("sealed value: cannot be opened") from None
        return Personal(plain.decode())


def keyed_hash(key: bytes, *parts: str) -> str:
    """Return HMAC-SHA256 over the parts, each behind its length, as hex.

    The lengths keep ("ab", "c") and ("a", "bc") apart.
    """
    mac = hmac.new(key, digestmod=hashlib.sha256)
    for part in parts:
        raw = part.encode()
        mac.update(len(raw).to_bytes(4, "big") + raw)
    return mac.hexdigest()
