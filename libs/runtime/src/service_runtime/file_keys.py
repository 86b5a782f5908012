"""Private keys in this process, from files of encrypted PKCS#8."""

from typing import Self

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, OAEP
from cryptography.hazmat.primitives.hashes import SHA256

from service_runtime.encryption_keys import OpeningKey
from service_runtime.key_provider import (
    Header,
    NotAbleError,
    WrongKeyError,
    ephemeral_of,
    unwrapped,
)


class FileKeys:
    """Unwraps with the private keys of the files."""

    def unwrap(self, key: OpeningKey, header: Header, encrypted_key: bytes) -> bytes:
        private = key.private
        if private is None:
            raise NotAbleError(f"the file has only the public key of {key.kid}")
        if isinstance(private, ec.EllipticCurvePrivateKey):
            return unwrapped(private.exchange(ec.ECDH(), ephemeral_of(header)), encrypted_key)
        try:
            return private.decrypt(encrypted_key, OAEP(MGF1(SHA256()), SHA256(), None))
        except ValueError:
            raise WrongKeyError("the content key is encrypted under another key") from None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: object) -> None:
        """Nothing is open."""
