"""The lists that are searched now, and the change to others."""

import asyncio
import gc
import hashlib
from functools import lru_cache
from typing import Self

from screening.clients.folder import ListFolder, ListsError
from screening.domain.analysis import Party
from screening.domain.entries import Entry
from screening.domain.matching import Match, Screener
from screening.domain.results import Outcome
from service_runtime import metrics
from service_runtime.logs import Log

_log = Log("lists")
_loaded: dict[str, float] = {}
metrics.gauge("sanctions_entries", "Entries of each list that is searched.", lambda: _loaded)


class Current:
    """The lists that are searched now, with the results of earlier searches."""

    def __init__(self, screener: Screener, cached: int) -> None:
        self.screener = screener
        self.labels = tuple(one.label for one in screener.lists)
        self.version = _version(self.labels)
        # A new list brings a new cache: a result never outlives the list that it is of.
        self._search = lru_cache(cached)(screener.screen)

    def screen(
        self, party: Party, *, by_account: bool, excepted: frozenset[str] = frozenset()
    ) -> Outcome:
        """Return the best entry for a party's name; `excepted`: keys of entries it is not."""
        by = ("account", "name") if by_account else ("name",)
        aside: tuple[Entry, ...] = ()
        while (match := self._without(party, aside)) and match.entry.key in excepted:
            aside += (match.entry,)
        if match is None:
            return Outcome(by, excepted=aside)
        version = self.screener.version_of(match.entry)
        return Outcome(by, match.score, match.entry, version, match.explanation, aside)

    def _without(self, party: Party, aside: tuple[Entry, ...]) -> Match | None:
        return self._search(party, frozenset(entry.key for entry in aside))


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
