"""The lists: files in a folder, and what is searched now."""

import asyncio
import gc
import hashlib
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from screening.domain.analysis import Party
from screening.domain.entries import Entry, SanctionsList
from screening.domain.matching import Screener
from screening.domain.ofac import read_accounts, read_entries
from screening.domain.results import Outcome
from service_runtime import metrics
from service_runtime.logs import Log

MANIFESTS = "*.json"
MOST_BYTES = 256 * 1024 * 1024
"""Of one file, unpacked. OFAC's largest has some 10 MB."""

_log = Log("lists")
_loaded: dict[str, float] = {}
metrics.gauge("sanctions_entries", "Entries of each list that is searched.", lambda: _loaded)
Reader = Callable[[str, bytes, bytes], tuple[Entry, ...]]
READERS: Mapping[str, Reader] = {"ofac": read_entries}
"""By format. Another publisher's format is one more function from files to entries."""


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid")

    file: Annotated[str, Field(pattern=r"^[\w-][\w.-]*$")]
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class _Files(BaseModel):
    model_config = ConfigDict(extra="forbid")

    entries: _File
    aliases: _File
    accounts: _File | None = None


class Manifest(BaseModel):
    """What a list consists of: a name, a version, a format, and files with their checksums."""

    model_config = ConfigDict(extra="forbid")

    list: Annotated[str, Field(pattern=r"^[A-Z][A-Z0-9-]{0,19}$")]
    version: Annotated[str, Field(pattern=r"^[\w.-]{1,20}$")]
    format: Literal["ofac"]
    files: _Files


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
            files = manifest.files
            read = READERS[manifest.format]
            entries = read(
                manifest.list, self._content(files.entries), self._content(files.aliases)
            )
            accounts = (
                read_accounts(entries, self._content(files.accounts)) if files.accounts else {}
            )
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


class Current:
    """The lists that are searched now, with the results of earlier searches."""

    def __init__(self, screener: Screener, cached: int) -> None:
        self.screener = screener
        self.labels = tuple(one.label for one in screener.lists)
        self.version = _version(self.labels)
        # A new list brings a new cache: a result never outlives the list that it is of.
        self._search = lru_cache(cached)(screener.screen)

    def screen(self, party: Party, *, by_account: bool) -> Outcome:
        """Return the best entry for a party's name."""
        by = ("account", "name") if by_account else ("name",)
        match = self._search(party)
        if match is None:
            return Outcome(by)
        version = self.screener.version_of(match.entry)
        return Outcome(by, match.score, match.entry, version, match.explanation)


def _version(labels: tuple[str, ...]) -> str:
    """Return one text of at most 64 characters for all versions."""
    text = ", ".join(labels)
    return text if len(text) <= 64 else hashlib.sha256(text.encode()).hexdigest()


class Lists:
    """Keeps the current lists; changed ones are built beside them and then take their place."""

    def __init__(self, folder: ListFolder, cached: int) -> None:
        self._folder = folder
        self._cached = cached
        self._fingerprint = ""
        self._is_refused = False
        metrics.gauge(
            "sanctions_lists_refused",
            "1 while a changed list cannot be used.",
            lambda: float(self._is_refused),
        )
        self._current: Current | None = None

    @property
    def current(self) -> Current:
        """What is searched now; a request takes it once, so that its results are of one version."""
        if self._current is None:
            raise RuntimeError("the lists are not loaded yet")
        return self._current

    async def __aenter__(self) -> Self:
        """Load the lists; raise ListsError: without lists nothing is screened."""
        await self._load(self._folder.fingerprint())
        return self

    async def __aexit__(self, *_error: object) -> None:
        self._current = None

    async def refresh(self) -> None:
        """Load the lists again where a manifest has changed; keep the old ones if it is wrong."""
        try:
            fingerprint = await asyncio.to_thread(self._folder.fingerprint)
            if fingerprint != self._fingerprint:
                await self._load(fingerprint)
            self._is_refused = False
        except ListsError as error:
            self._is_refused = True
            _log.warning("lists_refused", reason=str(error))

    async def _load(self, fingerprint: str) -> None:
        self._current = await asyncio.to_thread(self._built)
        self._fingerprint = fingerprint
        _loaded.clear()
        for one in self._current.screener.lists:
            _loaded[one.label] = float(len(one.entries))
        _log.info("lists_loaded", reason=self._current.version)

    def _built(self) -> Current:
        current = Current(Screener(self._folder.read()), self._cached)
        # The collector need not look at some 100,000 objects that stay until the next list.
        gc.collect()
        gc.freeze()
        return current
