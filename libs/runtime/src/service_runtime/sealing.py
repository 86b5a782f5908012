"""Sealing and signatures under key rings, and keyed hashes.

Sealing encrypts a value for one reader while it crosses topics and tables: AES-256-GCM, a random
96-bit nonce, and the payment's id as associated data, so that a sealed code cannot be moved to
another payment (NIST SP 800-38D).
"""

import base64
import binascii
import hmac
import os
from typing import Any
from uuid import UUID

from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from payment_schemas.ids import payment_id_of
from payment_schemas.sealed import Personal, Sealed, SealedCode
from service_runtime.errors import Rejected
from service_runtime.keys import Key, KeyRing

_NONCE_BYTES = 12


class Sealer:
    """Seals under the current key of a ring; opens under every key of it, found by its id."""

    def __init__(self, keys: KeyRing | bytes) -> None:
        self._keys = keys if isinstance(keys, KeyRing) else KeyRing(keys)

    def seal(self, secret: str, payment_id: UUID) -> Sealed:
        """Return the secret, sealed for this payment."""
        key, nonce = self._keys.current, os.urandom(_NONCE_BYTES)
        sealed = AESGCM(key.material).encrypt(nonce, secret.encode(), payment_id.bytes)
        return Sealed(f"{key.id}.{base64.urlsafe_b64encode(nonce + sealed).decode()}")

    def open(self, sealed: Sealed, payment_id: UUID) -> Personal:
        """Return the secret; raise Rejected for a retired key or another payment."""
        key_id, _, text = sealed.reveal().partition(".")
        key = self._keys.find(key_id)
        if key is None:
            raise Rejected("sealed value: unknown key id")
        try:
            raw = base64.urlsafe_b64decode(text)
            nonce, cipher = raw[:_NONCE_BYTES], AESGCM(key.material)
            plain = cipher.decrypt(nonce, raw[_NONCE_BYTES:], payment_id.bytes)
        except (InvalidTag, ValueError, binascii.Error):
            raise Rejected("sealed value: cannot be opened") from None
        return Personal(plain.decode())


def keyed_hash(key: bytes, *parts: str | bytes) -> str:
    """Return HMAC-SHA256 over the parts, each after its length, as hex.

    The lengths keep ("ab", "c") and ("a", "bc") apart.
    """
    raws = [part.encode() if isinstance(part, str) else part for part in parts]
    message = b"".join(len(raw).to_bytes(4, "big") + raw for raw in raws)
    # One call into OpenSSL: a third of the time of the incremental interface.
    return hmac.digest(key, message, "sha256").hex()


def seal_code(
    sealer: Sealer, tag_keys: KeyRing, user_id: str, transaction_id: str, code: str
) -> SealedCode:
    """Seal a code for otp, and tag it so that confirm can compare it with the accepted one."""
    sealed = sealer.seal(code, payment_id_of(user_id, transaction_id))
    return SealedCode(sealed, keyed_hash(tag_keys.current.material, user_id, transaction_id, code))


def seal_name(sealer: Sealer, user_id: str, transaction_id: str, name: Personal) -> Sealed:
    """Seal a payee's name for screening."""
    return sealer.seal(name.reveal(), payment_id_of(user_id, transaction_id))


def sign(keys: KeyRing, message: bytes) -> str:
    """Return an Ed25519 signature under the current key, after the key's id."""
    key = keys.current
    return f"{key.id}.{base64.urlsafe_b64encode(_signing(key).sign(message)).decode()}"


def public_keys(keys: KeyRing) -> dict[str, bytes]:
    """Return the raw public keys of a ring by id: all that a verifier needs."""
    return {key.id: _signing(key).public_key().public_bytes_raw() for key in keys}


def key_set(keys: KeyRing) -> dict[str, Any]:
    """Return the public keys of a ring as a JWK set (RFC 7517, RFC 8037), the current one first."""
    return {
        "keys": [
            {"kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "use": "sig", "kid": key_id}
            | {"x": base64.urlsafe_b64encode(raw).decode().rstrip("=")}
            for key_id, raw in public_keys(keys).items()
        ]
    }


def verify_signature(public: dict[str, bytes], signature: str, message: bytes) -> None:
    """Raise Rejected where the signature is not valid under one of the public keys."""
    key_id, _, text = signature.partition(".")
    try:
        raw = base64.urlsafe_b64decode(text)
        Ed25519PublicKey.from_public_bytes(public[key_id]).verify(raw, message)
    except (KeyError, ValueError, binascii.Error, InvalidSignature):
        raise Rejected("signature: not valid") from None


def _signing(key: Key) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(key.material)
