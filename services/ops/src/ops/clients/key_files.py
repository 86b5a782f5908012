"""Key rings: the first key is used, all are accepted; services read a change within 1 s."""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from ops.clients.secret_files import Credential, EncryptionRing, Form, Secret, forms_in
from ops.domain.errors import RefusedError, UnavailableError

_LIST = "countersign keys list"


@dataclass(frozen=True, slots=True)
class Ring:
    """Keys, or credentials, of one purpose."""

    form: Form
    keys: tuple[Secret, ...]
    changed_at: datetime

    @property
    def name(self) -> str:
        """The ring's name."""
        return self.form.name

    @property
    def ids(self) -> list[str]:
        """The ids of the keys, the current one first."""
        return [key.id for key in self.keys]


def rings_of(folder: Path) -> list[Ring]:
    """Return every ring of a folder, by name. Raises UnavailableError if it is unreadable."""
    try:
        forms = list(forms_in(folder))
    except OSError as error:
        raise UnavailableError(f"{folder}: {error.strerror}", f"ls -ld {folder}") from None
    return [ring for form in forms if (ring := _read(form)) is not None]


def ring_of(folder: Path, name: str) -> Ring:
    """Return one ring. Raises RefusedError for an unknown name."""
    for ring in rings_of(folder):
        if ring.name == name:
            return ring
    raise RefusedError(f"no key ring is called {name!r} in {folder}", _LIST)


def add(ring: Ring, *, accept_only: bool, public: str | None = None) -> Ring:
    """Add a new key: as the current one, or as the last, which readers accept and nobody uses.

    `public`: PEM of a key whose private part a token or another service keeps.
    """
    if accept_only and isinstance(ring.form, Credential):
        raise RefusedError(
            f"{ring.name} is used as soon as it exists: without --accept-only, then copy"
            " internal-credentials to every machine before it",
            f"countersign keys rotate {ring.name}",
        )
    new = ring.form.new() if public is None else _of_public(ring, public)
    return _write(ring, (*ring.keys, new) if accept_only else (new, *ring.keys))


def _of_public(ring: Ring, public: str) -> Secret:
    if not isinstance(ring.form, EncryptionRing):
        raise RefusedError(
            f"{ring.name} has no public keys", f"countersign keys rotate {ring.name}"
        )
    try:
        return ring.form.of_public(public)
    except ValueError as error:
        raise RefusedError(
            f"the public key cannot be used: {error}", "openssl pkey -pubin"
        ) from None


def use(ring: Ring, key_id: str) -> Ring:
    """Make an accepted key the current one."""
    key = _key_of(ring, key_id)
    return _write(ring, (key, *(other for other in ring.keys if other != key)))


def retire(ring: Ring, key_id: str, now: datetime, *, at_once: bool) -> Ring:
    """Remove a key. Raises RefusedError for the current one, and within the overlap."""
    key = _key_of(ring, key_id)
    if key == ring.keys[0]:
        raise RefusedError(
            f"{key_id} is the current key of {ring.name}", f"countersign keys rotate {ring.name}"
        )
    ready_at = ring.changed_at + ring.form.overlap
    if now < ready_at and not at_once:
        raise RefusedError(
            f"{ring.name} has changed at {ring.changed_at:%F %T} UTC, and records or requests"
            f" under {key_id} may still be unread until {ready_at:%F %T}",
            f"countersign keys retire {ring.name} {key_id} --at-once",
        )
    return _write(ring, tuple(other for other in ring.keys if other != key))


def _key_of(ring: Ring, key_id: str) -> Secret:
    for key in ring.keys:
        if key.id == key_id:
            return key
    raise RefusedError(f"{ring.name} has no key {key_id!r}", _LIST)


def _read(form: Form) -> Ring | None:
    """Return the ring of a file; None where the file is another kind of secret."""
    try:
        keys = tuple(form.read())
        changed_at = datetime.fromtimestamp(form.path.stat().st_mtime, UTC)
    except (OSError, ValueError):
        return None
    return Ring(form, keys, changed_at) if keys else None


def _write(ring: Ring, keys: tuple[Secret, ...]) -> Ring:
    ring.form.write(keys)
    written = _read(ring.form)
    if written is None or written.ids != [key.id for key in keys]:
        raise UnavailableError(f"{ring.form.path}: another process has written it", _LIST)
    return written
