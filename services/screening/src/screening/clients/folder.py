"""The lists as files in a folder, with a manifest each."""

import hashlib
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from screening.domain import eu, ofac, un
from screening.domain.entries import Entry, SanctionsList

MANIFESTS = "*.json"
MOST_BYTES = 256 * 1024 * 1024
"""Of one file, unpacked. OFAC's largest has some 10 MB."""

Reader = Callable[..., tuple[Entry, ...]]
READERS: Mapping[str, Reader] = {
    "ofac": ofac.read_entries,
    "eu": eu.read_entries,
    "un": un.read_entries,
}
"""By format, with the list's name and its files: entries, and OFAC's aliases. Another publisher's
format is one more function."""


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid")

    file: Annotated[str, Field(pattern=r"^[\w-][\w.-]*$")]
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class _Files(BaseModel):
    model_config = ConfigDict(extra="forbid")

    entries: _File
    aliases: _File | None = None
    accounts: _File | None = None


class Manifest(BaseModel):
    """What a list consists of: a name, a version, a format, and files with their checksums."""

    model_config = ConfigDict(extra="forbid")

    list: Annotated[str, Field(pattern=r"^[A-Z][A-Z0-9-]{0,19}$")]
    version: Annotated[str, Field(pattern=r"^[\w.-]{1,20}$")]
    format: Literal["ofac", "eu", "un"]
    files: _Files

    @model_validator(mode="after")
    def _has_the_files_of_its_format(self) -> Self:
        if (self.format == "ofac") != (self.files.aliases is not None):
            raise ValueError("files.aliases: OFAC's list has this file, and no other list")
        return self

    @property
    def read(self) -> tuple[_File, ...]:
        """The files that entries are read from."""
        return tuple(file for file in (self.files.entries, self.files.aliases) if file)


class ListsError(ValueError):
    """The lists cannot be used; the message names the file."""


@dataclass(frozen=True, slots=True)
class ListFolder:
    """A folder with a manifest (JSON) for each list and the files that it names, plain or gzip."""

    path: Path

    def fingerprint(self) -> str:
        """Return what changes with any manifest. Raises ListsError."""
        try:
            found = sorted(self.path.glob(MANIFESTS))
            return hashlib.sha256(b"\0".join(file.read_bytes() for file in found)).hexdigest()
        except OSError as error:
            raise ListsError(f"{self.path}: {error}") from None

    def read(self) -> list[SanctionsList]:
        """Return all lists. Raises ListsError for one that is not as its manifest says."""
        lists = [self._list(file) for file in sorted(self.path.glob(MANIFESTS))]
        if not lists:
            raise ListsError(f"{self.path}: has no list")
        if len({one.name for one in lists}) < len(lists):
            raise ListsError(f"{self.path}: two manifests name one list")
        return lists

    def _list(self, file: Path) -> SanctionsList:
        try:
            manifest = Manifest.model_validate_json(file.read_bytes())
            contents = [self._content(one) for one in manifest.read]
            entries = READERS[manifest.format](manifest.list, *contents)
            owned = manifest.files.accounts
            accounts = ofac.read_accounts(entries, self._content(owned)) if owned else {}
        except (OSError, ValueError) as error:
            raise ListsError(f"{file.name}: {_reason(error)}") from None
        return SanctionsList(manifest.list, manifest.version, entries, accounts)

    def _content(self, file: _File) -> bytes:
        raw = (self.path / file.file).read_bytes()
        if hashlib.sha256(raw).hexdigest() != file.sha256:
            raise ListsError(f"{file.file} has another checksum than its manifest")
        return _unpacked(raw) if file.file.endswith(".gz") else raw


def _unpacked(raw: bytes) -> bytes:
    unpacker = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
    content = unpacker.decompress(raw, MOST_BYTES)
    if not unpacker.eof:
        raise ListsError(f"a file has more than {MOST_BYTES} bytes, or is cut off")
    return content


def _reason(error: Exception) -> str:
    if not isinstance(error, ValidationError):
        return str(error)
    fault = error.errors(include_url=False, include_input=False)[0]
    return f"{'.'.join(map(str, fault['loc'])) or 'manifest'}: {fault['msg']}"
