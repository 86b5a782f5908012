"""Keys and secrets as files; key rings, whose keys are rotated while the process runs."""

import base64
import binascii
import hashlib
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Self

from pydantic import BeforeValidator, Field, InstanceOf

from service_runtime.logs import Log

KEY_BYTES = 32
KEY_ID_CHARACTERS = 8
CHECK_EVERY_S = 1.0
"""How often a key file is checked for a change."""

_log = Log("keys")
FileState = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Key:
    """32 secret bytes, and the id by which a reader finds them."""

    material: bytes = field(repr=False)

    @property
    def id(self) -> str:
        """The head of a SHA-256; two processes with the same key derive the same id."""
        digest = hashlib.sha256(b"countersign key id" + self.material)
        return digest.hexdigest()[:KEY_ID_CHARACTERS]


class KeyRing:
    """The keys of one purpose: the first one is current, the others are still accepted.

    A key that is removed from the file is retired: what was sealed or signed under it is refused.
    """

    def __init__(self, *materials: bytes) -> None:
        self._keys = {key.id: key for key in map(Key, materials)}
        self._path: Path | None = None
        self._state: FileState | None = None
        self._checked_s = 0.0

    @classmethod
    def of_file(cls, path: object) -> Self:
        """Read a file of base64 lines, newest key first; raise ValueError with the broken rule."""
        ring = cls()
        ring._path = Path(str(path))
        ring._read(_state_of(ring._path))
        return ring

    @property
    def current(self) -> Key:
        """The key to seal and sign with."""
        self._refresh()
        return next(iter(self._keys.values()))

    def find(self, key_id: str) -> Key | None:
        """Return the key with that id, None where it is unknown or retired."""
        self._refresh(now=key_id not in self._keys)
        return self._keys.get(key_id)

    def __iter__(self) -> Iterator[Key]:
        self._refresh()
        return iter(tuple(self._keys.values()))

    def _refresh(self, *, now: bool = False) -> None:
        """Read the file again if it has changed; a file that cannot be read changes nothing.

        An unknown key id is looked up at once: another process may already use a newer file.
        """
        if self._path is None or (not now and time.monotonic() - self._checked_s < CHECK_EVERY_S):
            return
        self._checked_s = time.monotonic()
        state = _state_of(self._path)
        if state in (self._state, None):
            return
        try:
            self._read(state)
        except ValueError as error:
            _log.error("keys_not_read", reason=str(error))
        else:
            _log.info("keys_read", count=len(self._keys))

    def _read(self, state: FileState | None) -> None:
        # The state was taken before, so that a change during the read is seen later.
        lines = read_secret(self._path).splitlines()
        keys = [Key(read_key(line.strip())) for line in lines if line.strip()]
        self._keys = {key.id: key for key in keys}
        self._state = state


SecretKeys = Annotated[InstanceOf[KeyRing], BeforeValidator(KeyRing.of_file), Field(repr=False)]
"""The key ring in the file that the variable names."""


def read_secret(path: object) -> str:
    """Return the text of a file; raise ValueError where it is missing or empty."""
    try:
        text = Path(str(path)).read_text(encoding="utf-8").strip()
    except OSError as error:
        raise ValueError(f"cannot be read: {error.strerror}") from None
    if not text:
        raise ValueError("is empty")
    return text


def read_key(text: str) -> bytes:
    """Return the 32 bytes behind a line of base64; raise ValueError."""
    try:
        key = base64.b64decode(text, validate=True)
    except binascii.Error:
        raise ValueError("must hold base64") from None
    if len(key) != KEY_BYTES:
        raise ValueError(f"must hold {KEY_BYTES} bytes as base64")
    return key


def _state_of(path: Path) -> FileState | None:
    """Return what changes when a file is written, or another one is renamed into its place."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size
