"""The forms in which a ring's secrets are stored: lines of keys, credentials of machines and banks.

Files are written in place: one that is renamed over a mounted file is not seen in a container.
"""

import base64
import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, Protocol

from ops.domain.errors import RefusedError, UnavailableError
from service_runtime.clock import SystemClock
from service_runtime.credentials import callers_of
from service_runtime.encryption_keys import (
    OPENS_AFTER,
    KeyBlock,
    blocks_of,
    new_block,
    opening_keys,
    public_block,
    public_key_of,
    replaced,
    text_of,
)
from service_runtime.keys import (
    KEY_BYTES,
    KEY_ID_CHARACTERS,
    Key,
    named_secrets_of,
    read_key,
    read_secret,
)

OVERLAP = timedelta(hours=1)
"""The longest life of what a key has sealed or signed, except for dead letters."""
OVERLAPS = {"partner-signing": timedelta(days=30), "e2e-vault": timedelta(days=36_500)}
"""Rings whose secrets are needed for longer: a bank reads its topic for 30 days, and a card number
is sealed for as long as the card is kept."""
CALLERS = "internal-credentials"
"""The file of the hashes by which services know the machines that call them."""
CREDENTIAL = "internal-credential-"
"""The file of a machine's own secret begins with it."""
PARTNERS = "partner-credentials"
ENCRYPTION, PASSPHRASE = "e2e-", "e2e-passphrase"
"""What the files of keys for encrypted requests begin with, and the file of their passphrase."""
_LIST = "countersign keys list"


class Secret(NamedTuple):
    """A secret as its file has it, and the id that is shown."""

    id: str
    text: str
    """Empty for an accepted credential of a machine: only its hash is known."""
    digest: str = ""


class Form(Protocol):
    """Reads and writes the secrets of one ring."""

    @property
    def overlap(self) -> timedelta:
        """How long what an old secret was used for may be under way."""
        ...

    @property
    def name(self) -> str:
        """The ring's name."""
        ...

    @property
    def path(self) -> Path:
        """The file that a rotation changes last."""
        ...

    def read(self) -> Sequence[Secret]:
        """Return the secrets, the current one first; raise ValueError or OSError."""
        ...

    def write(self, ring: Sequence[Secret]) -> None:
        """Write the secrets; raise OSError."""
        ...

    def new(self) -> Secret:
        """Make a secret."""
        ...


@dataclass(frozen=True, slots=True)
class KeyLines:
    """A file with one key a line, the current one first."""

    path: Path

    @property
    def name(self) -> str:
        return self.path.name

    @property
    def overlap(self) -> timedelta:
        return OVERLAPS.get(self.name, OVERLAP)

    def read(self) -> Sequence[Secret]:
        return [
            Secret(Key(read_key(line)).id, line)
            for line in self.path.read_text(encoding="utf-8").split()
        ]

    def write(self, ring: Sequence[Secret]) -> None:
        write_in_place(self.path, "".join(one.text + "\n" for one in ring))

    def new(self) -> Secret:
        material = os.urandom(KEY_BYTES)
        return Secret(Key(material).id, base64.b64encode(material).decode())


@dataclass(frozen=True, slots=True)
class Credential:
    """A machine's secret in its own file; in the services' file the hashes that they accept."""

    path: Path
    overlap: ClassVar[timedelta] = timedelta(minutes=1)
    """The machine and the services read a change within a second."""

    @property
    def name(self) -> str:
        return self.path.name

    @property
    def _callers(self) -> Path:
        return self.path.with_name(CALLERS)

    @property
    def _machine(self) -> str:
        return self.name.removeprefix(CREDENTIAL)

    def read(self) -> Sequence[Secret]:
        text = self.path.read_text(encoding="utf-8").strip()
        machine = callers_of(self._callers.read_text(encoding="utf-8")).get(self._machine)
        known = machine.sha256 if machine else []
        current = _credential(text)
        if current.digest not in known:
            raise ValueError(f"{self._callers} does not know its secret")
        accepted = (Secret(_id(one), "", one) for one in known if one != current.digest)
        return [current, *accepted]

    def write(self, ring: Sequence[Secret]) -> None:
        if not ring[0].text:
            raise RefusedError(
                f"{ring[0].id}: of an earlier secret only the hash is kept",
                f"countersign keys rotate {self.name}",
            )
        document: dict[str, Any] = json.loads(self._callers.read_text(encoding="utf-8"))
        document[self._machine]["sha256"] = [one.digest for one in ring]
        # The services accept the new secret before the machine presents it.
        write_in_place(self._callers, json.dumps(document, indent=2))
        write_in_place(self.path, ring[0].text)

    def new(self) -> Secret:
        return _new_credential()


@dataclass(frozen=True, slots=True)
class PartnerSecrets:
    """The secrets of one partner bank in the file of all."""

    path: Path
    partner: str
    overlap: ClassVar[timedelta] = timedelta(minutes=1)
    """The longest call of a bank takes three seconds."""

    @property
    def name(self) -> str:
        return f"{self.path.name}/{self.partner}"

    def read(self) -> Sequence[Secret]:
        found = named_secrets_of(self.path.read_text(encoding="utf-8"))
        return [_credential(text) for text in found.get(self.partner, ())]

    def write(self, ring: Sequence[Secret]) -> None:
        found = dict(named_secrets_of(self.path.read_text(encoding="utf-8")))
        found[self.partner] = [one.text for one in ring]
        write_in_place(self.path, json.dumps(found))

    def new(self) -> Secret:
        return _new_credential()


@dataclass(frozen=True, slots=True)
class EncryptionRing:
    """Private keys that open encrypted requests, one block of PEM each."""

    path: Path

    @property
    def overlap(self) -> timedelta:
        # A replaced key opens for a day, and a command waits for minutes.
        return OVERLAPS.get(self.name, OPENS_AFTER + OVERLAP)

    @property
    def name(self) -> str:
        return self.path.name

    def read(self) -> Sequence[Secret]:
        return [_of_block(block) for block in self._blocks()]

    def write(self, ring: Sequence[Secret]) -> None:
        after = [blocks_of(one.text)[0] for one in ring]
        blocks = replaced(self._blocks(), after, SystemClock().now())
        write_in_place(self.path, text_of(blocks))

    def new(self) -> Secret:
        current = self._blocks()[0]
        if current.is_kept_elsewhere:
            raise RefusedError(
                f"the private keys of {self.name} are kept elsewhere: make one there",
                f"countersign keys rotate {self.name} --public KEY.pem",
            )
        passphrase = read_secret(self.path.with_name(PASSPHRASE))
        (opened,) = opening_keys(text_of([current]), passphrase)
        return _of_block(new_block(opened.kind, passphrase))

    def of_public(self, pem: str) -> Secret:
        """Return a key whose private part is kept elsewhere; raise ValueError."""
        return _of_block(public_block(public_key_of(pem)))

    def _blocks(self) -> list[KeyBlock]:
        return blocks_of(self.path.read_text(encoding="utf-8"))


def forms_in(folder: Path) -> Iterator[Form]:
    """Yield every file of a folder, and every partner bank, as what it may be."""
    for path in sorted(folder.iterdir()):
        if path.name == PARTNERS:
            banks = named_secrets_of(path.read_text(encoding="utf-8"))
            yield from (PartnerSecrets(path, bank) for bank in sorted(banks))
        elif path.name.startswith(CREDENTIAL):
            yield Credential(path)
        elif path.name.startswith(ENCRYPTION) and path.name != PASSPHRASE:
            yield EncryptionRing(path)
        elif not path.name.startswith("."):
            yield KeyLines(path)


def write_in_place(path: Path, text: str) -> None:
    """Write a file in one call; raise UnavailableError."""
    mode = path.stat().st_mode
    try:
        path.chmod(mode | 0o200)
        descriptor = os.open(path, os.O_WRONLY)
        try:
            os.write(descriptor, text.encode())
            os.ftruncate(descriptor, len(text.encode()))
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
            path.chmod(mode)
    except OSError as error:
        raise UnavailableError(f"{path}: {error.strerror}", f"ls -l {path}") from None


def _new_credential() -> Secret:
    return _credential(base64.urlsafe_b64encode(os.urandom(KEY_BYTES)).decode().rstrip("="))


def _credential(text: str) -> Secret:
    digest = hashlib.sha256(text.encode()).hexdigest()
    return Secret(_id(digest), text, digest)


def _of_block(block: KeyBlock) -> Secret:
    return Secret(block.kid, text_of([block]))


def _id(digest: str) -> str:
    return digest[:KEY_ID_CHARACTERS]
