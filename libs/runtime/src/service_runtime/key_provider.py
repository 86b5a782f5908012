"""The port to private keys, its errors, and what its adapters share."""

from base64 import urlsafe_b64decode
from collections.abc import Mapping
from typing import Any, Protocol, Self

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.concatkdf import ConcatKDFHash
from cryptography.hazmat.primitives.keywrap import InvalidUnwrap, aes_key_unwrap

from payment_schemas.encrypted import EC_ALGORITHM
from service_runtime.encryption_keys import OpeningKey

Header = Mapping[str, Any]
WRAPPING_BITS = 256


class WrongKeyError(ValueError):
    """The content key was not encrypted under this key."""


class NotAbleError(WrongKeyError):
    """The place of the key does not have the algorithm."""


class KeyProvider(Protocol):
    """Decrypts content keys with private keys that it may never hand out.

    It is called in worker threads, several at once.
    """

    def unwrap(self, key: OpeningKey, header: Header, encrypted_key: bytes) -> bytes:
        """Return the content key of a request with that protected header.

        Raises WrongKeyError, NotAbleError, and Unavailable where the place of the keys is away.
        """
        ...

    async def __aenter__(self) -> Self:
        """Open what the calls need."""
        ...

    async def __aexit__(self, *error: object) -> None:
        """End sessions and connections."""
        ...


def ephemeral_of(header: Header) -> ec.EllipticCurvePublicKey:
    """Return the client's key of this request; raise WrongKeyError for no point of the curve."""
    epk = header["epk"]
    point = b"\x04" + _coordinate(epk["x"]) + _coordinate(epk["y"])
    try:
        return ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point)
    except ValueError:
        raise WrongKeyError("epk is no point of P-256") from None


def unwrapped(shared: bytes, encrypted_key: bytes) -> bytes:
    """Return the content key behind a shared secret: Concat KDF, then AES key wrap (RFC 7518)."""
    algorithm = EC_ALGORITHM.encode()
    nobody = bytes(4)  # neither PartyUInfo nor PartyVInfo: the header has no apu, no apv
    about = len(algorithm).to_bytes(4) + algorithm + nobody + nobody + WRAPPING_BITS.to_bytes(4)
    key = ConcatKDFHash(SHA256(), WRAPPING_BITS // 8, about).derive(shared)
    try:
        return aes_key_unwrap(key, encrypted_key)
    except (InvalidUnwrap, ValueError):
        raise WrongKeyError("the content key is wrapped under another key") from None


def _coordinate(text: str) -> bytes:
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))
