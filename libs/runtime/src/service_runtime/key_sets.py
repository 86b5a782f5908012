"""The keys of encrypted requests: those that open one, and those that clients may use."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from payment_schemas.encrypted import ALGORITHMS
from service_runtime.encryption_keys import OpeningKey, jwk_members, opening_keys, require_private
from service_runtime.keys import SecretFile


class EncryptionKeys:
    """The keys of some files, as they are now; a file that cannot be read changes nothing."""

    def __init__(self, paths: Sequence[str], passphrase: str) -> None:
        """Read the files; raise ValueError with the file and its fault."""
        self._files = [_file(Path(path), passphrase) for path in paths]

    def find(self, kid: str, at: datetime) -> OpeningKey | None:
        """Return the key that opens what came at that time; None where it is unknown or retired."""
        key = self._by_id(kid) or self._by_id(kid, now=True)
        return key if key and key.block.opens_at(at) else None

    def __iter__(self) -> Iterator[OpeningKey]:
        for file in self._files:
            yield from file.get()

    def _by_id(self, kid: str, *, now: bool = False) -> OpeningKey | None:
        found = (key for file in self._files for key in file.get(now=now) if key.kid == kid)
        return next(found, None)


def key_set(keys: Sequence[OpeningKey]) -> dict[str, Any]:
    """Return the keys that were not replaced as a JWK set (RFC 7517), in their order."""
    return {
        "keys": [
            {**jwk_members(key.public), "use": "enc", "alg": ALGORITHMS[key.kind], "kid": key.kid}
            for key in keys
            if key.block.until is None
        ]
    }


def _file(path: Path, passphrase: str) -> SecretFile[list[OpeningKey]]:
    def read(text: str) -> list[OpeningKey]:
        keys = opening_keys(text, passphrase)
        if any(key.private for key in keys):
            require_private(path)
        return keys

    try:
        return SecretFile(path, read)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
