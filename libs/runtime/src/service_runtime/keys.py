"""Keys and secrets as files; key rings, whose keys are rotated while the process runs."""

import base64
import binascii
import hashlib
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Generic, Self, TypeVar

from pydantic import BeforeValidator, Field, InstanceOf, TypeAdapter, ValidationError

from service_runtime.logs import Log

KEY_BYTES = 32
KEY_ID_CHARACTERS = 8
CHECK_EVERY_S = 1.0
"""How often a key file is checked for a change."""

_log = Log("keys")
FileState = tuple[int, int, int]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Key:
    """32 secret bytes, and the id by which a reader finds them."""

    material: bytes = field(repr=False)
    id: str = field(init=False)
    """The head of a SHA-256; two processes with the same key derive the same id."""

    def __post_init__(self) -> None:
        digest = hashlib.sha256(b"countersign key id" + self.material).hexdigest()
        object.__setattr__(self, "id", digest[:KEY_ID_CHARACTERS])


def listed_once(value: object) -> object:
    """Return a single text as a list of one."""
    return [value] if isinstance(value, str) else value


class SecretFile(Generic[T]):
    """What a secret's file holds now: it is read again, once a second at most, when it changes.

    A file that cannot be read changes nothing.
    """

    def __init__(self, path: object, parse: Callable[[str], T]) -> None:
        """Read the file; raise ValueError with the broken rule."""
        self._path = Path(str(path))
        self._parse = parse
        self._checked_s = 0.0
        self._read(state_of(self._path))

    def get(self, *, now: bool = False) -> T:
        """Return the content. `now`: another process may use a newer file already."""
        if now or time.monotonic() - self._checked_s >= CHECK_EVERY_S:
            self._refresh()
        return self._content

    def _refresh(self) -> None:
        self._checked_s = time.monotonic()
        state = state_of(self._path)
        if state in (self._state, None):
            return
        try:
            self._read(state)
        except ValueError as error:
            _log.error("keys_not_read", field=self._path.name, reason=str(error))
        else:
            _log.info("keys_read", field=self._path.name)

    def _read(self, state: FileState | None) -> None:
        # The state was taken before, so that a change during the read is seen later.
        self._content = self._parse(read_secret(self._path))
        self._state = state


class KeyRing:
    """The keys of one purpose: the first one is current, the others are still accepted.

    A key that is removed from the file is retired: what was sealed or signed under it is refused.
    """

    def __init__(self, *materials: bytes) -> None:
        self._fixed = _keys_by_id(map(Key, materials))
        self._file: SecretFile[Mapping[str, Key]] | None = None

    @classmethod
    def of_file(cls, path: object) -> Self:
        """Read a file of base64 lines, newest key first; raise ValueError with the broken rule."""
        ring = cls()
        ring._file = SecretFile(path, _keys_of)
        return ring

    @property
    def current(self) -> Key:
        """The key to seal and sign with."""
        return next(iter(self._keys().values()))

    def find(self, key_id: str) -> Key | None:
        """Return the key with that id, None where it is unknown or retired."""
        return self._keys().get(key_id) or self._keys(now=True).get(key_id)

    def __iter__(self) -> Iterator[Key]:
        return iter(tuple(self._keys().values()))

    def _keys(self, *, now: bool = False) -> Mapping[str, Key]:
        return self._file.get(now=now) if self._file else self._fixed


def _keys_of(text: str) -> Mapping[str, Key]:
    return _keys_by_id(Key(read_key(line.strip())) for line in text.splitlines() if line.strip())


def _keys_by_id(keys: Iterable[Key]) -> Mapping[str, Key]:
    return {key.id: key for key in keys}


SecretKeys = Annotated[InstanceOf[KeyRing], BeforeValidator(KeyRing.of_file), Field(repr=False)]
"""The key ring in the file that the variable names."""


def _text_of(path: object) -> SecretFile[str]:
    return SecretFile(path, str)


RotatedSecret = Annotated[InstanceOf[SecretFile[str]], BeforeValidator(_text_of), Field(repr=False)]
"""The secret in the file that the variable names, as it is at each use."""


class Password(str):
    """A password whose file may change: at each login a client sends what the file holds then.

    Clients take a text alone and keep it for later connections. Those of Kafka and Redis encode it
    at each login, PostgreSQL's puts it into a connection string.
    """

    __slots__ = ("_file",)
    _file: SecretFile[str] | None

    @classmethod
    def of_file(cls, path: object) -> Self:
        """Read a file; raise ValueError with the broken rule."""
        file = SecretFile(path, str)
        password = cls(file.get())
        password._file = file
        return password

    def __new__(cls, text: str = "") -> Self:
        """Return a password that never changes."""
        password = super().__new__(cls, text)
        password._file = None
        return password

    def encode(self, encoding: str = "utf-8", errors: str = "strict") -> bytes:
        """Return what the file holds now, encoded."""
        return str(self).encode(encoding, errors)

    def __str__(self) -> str:
        """Return what the file holds now."""
        return self._file.get(now=True) if self._file else "".join(self)


PasswordFile = Annotated[InstanceOf[Password], BeforeValidator(Password.of_file), Field(repr=False)]
"""The password in the file that the variable names, as it is at each login."""

NamedSecrets = Mapping[str, list[str]]
"""By name the secrets that are accepted, the current one first."""
_Text = Annotated[str, Field(min_length=1)]
_Texts = Annotated[list[_Text], BeforeValidator(listed_once), Field(min_length=1)]
_NAMED: TypeAdapter[NamedSecrets] = TypeAdapter(dict[str, _Texts])


def named_secrets_of(text: str) -> NamedSecrets:
    """Return the secrets of a JSON object; raise ValueError with its form."""
    try:
        return _NAMED.validate_json(text)
    except ValidationError:
        raise ValueError("must hold a JSON object: {name: secret, or list of secrets}") from None


def _named_secrets(path: object) -> SecretFile[NamedSecrets]:
    return SecretFile(path, named_secrets_of)


RotatedSecrets = Annotated[
    InstanceOf[SecretFile[NamedSecrets]], BeforeValidator(_named_secrets), Field(repr=False)
]
"""The secrets in the JSON file that the variable names, as they are at each use."""


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


def state_of(path: Path) -> FileState | None:
    """Return what changes when a file is written, or another one is renamed into its place."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size
