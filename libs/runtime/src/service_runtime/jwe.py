"""Decrypts compact JWEs with joserfc: one algorithm a key, A256GCM, no compression.

What is not pinned here does not exist for the library. The content key comes from a KeyProvider.
"""

import os
from typing import Any

from joserfc.jwa import JWE_ENC_MODELS, JWEKeyEncryption
from joserfc.jwe import JWERegistry, Recipient, decrypt_compact
from joserfc.jwk import OctKey
from joserfc.registry import HeaderParameter

from payment_schemas.encrypted import ALGORITHMS, CONTENT_ENCRYPTION, EC_ALGORITHM
from service_runtime.encryption_keys import OpeningKey
from service_runtime.key_provider import KeyProvider, NotAbleError


def decrypted(token: str, key: OpeningKey, provider: KeyProvider) -> bytes:
    """Return what a compact JWE holds; raise JoseError, ValueError or Unavailable."""
    registry = _Registry(key, provider)
    plain = decrypt_compact(token, _NOT_USED, registry=registry).plaintext
    if plain is None:
        raise ValueError("no content")
    return plain


_NOT_USED = OctKey.import_key(os.urandom(32))
"""joserfc wants a key; the content key comes from the provider."""
_OURS = {
    "transaction_id": HeaderParameter("Transaction", "str", required=True),
    "iat": HeaderParameter("Issued at", "int", required=True),
    "exp": HeaderParameter("Expires at", "int", required=True),
}
_GCM = next(model for model in JWE_ENC_MODELS if model.name == CONTENT_ENCRYPTION)


class _Registry(JWERegistry):
    """Knows the one algorithm of one key, A256GCM, and no compression."""

    def __init__(self, key: OpeningKey, provider: KeyProvider) -> None:
        name = ALGORITHMS[key.kind]
        super().__init__(_OURS, algorithms=[name, CONTENT_ENCRYPTION])
        by_provider = _ByProvider(name, key, provider)
        self.algorithms = {
            "alg": {name: by_provider},
            "enc": {CONTENT_ENCRYPTION: _GCM},
            "zip": {},
        }


class _ByProvider(JWEKeyEncryption):
    """Decrypts the content key by the provider."""

    def __init__(self, name: str, key: OpeningKey, provider: KeyProvider) -> None:
        self.name = name
        self._key = key
        self._provider = provider
        self.more_header_registry = (
            {"epk": HeaderParameter("Ephemeral key", "jwk", required=True)}
            if name == EC_ALGORITHM
            else {}
        )

    def encrypt_cek(self, cek: bytes, recipient: Recipient[Any]) -> bytes:  # noqa: ARG002 - theirs
        raise NotAbleError("this opens requests, and makes none")

    def decrypt_cek(self, recipient: Recipient[Any]) -> bytes:
        return self._provider.unwrap(self._key, recipient.headers(), recipient.encrypted_key or b"")
