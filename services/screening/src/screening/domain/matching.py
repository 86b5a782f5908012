"""The verdict on a name: LogicV2's, reached without a scan of the whole list. Pure."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from heapq import heapify, heappop, heappush
from itertools import count
from operator import itemgetter
from typing import Final

from followthemoney import EntityProxy
from nomenklatura.matching.logic_v2.model import LogicV2
from nomenklatura.matching.logic_v2.names.match import match_name_symbolic
from nomenklatura.matching.types import MatchingResult
from rigour.names import CompareConfig, Name, NameTypeTag

from screening.domain.analysis import (
    Party,
    entry_entity,
    is_of_single_han,
    list_names,
    query_entity,
    query_names,
    type_tag,
)
from screening.domain.entries import Entry, SanctionsList
from screening.domain.index import LOWEST_BOUND, NameIndex

THRESHOLD: Final = 70
"""Per cent, of the rounded score: that is what callers see."""
LOWEST_SCORE: Final = 0.695
SLACK: Final = LOWEST_SCORE - LOWEST_BOUND
"""Of the index's bounds: they leave out that a family's name weighs more."""
CERTAIN: Final = 100
_CONFIG: Final = LogicV2.default_config()


def _default(name: str) -> float:
    """Return a setting of LogicV2."""
    return float(LogicV2.CONFIG[name].default or 0.0)


_COMPARE: Final = CompareConfig(budget_tolerance=_default("nm_fuzzy_cutoff_factor"))
_EXTRA_QUERY: Final = _default("nm_extra_query_name")
_EXTRA_RESULT: Final = _default("nm_extra_result_name")
_FAMILY: Final = _default("nm_family_name_weight")
_ENTITIES: Final = (NameTypeTag.PER, NameTypeTag.ORG, NameTypeTag.ENT)
_generations = count()


@dataclass(frozen=True, slots=True)
class Match:
    """The best entry for a party."""

    entry: Entry
    score: int
    """LogicV2's score in per cent, rounded."""
    explanation: str
    """How the parts of the two names were aligned. It contains names."""


@dataclass(frozen=True, slots=True)
class _ListedName:
    name: Name
    entry: int


class Screener:
    """All lists, ready to be searched. Building takes seconds, a search less than a millisecond."""

    def __init__(self, lists: Sequence[SanctionsList]) -> None:
        self.lists = tuple(lists)
        self._generation = next(_generations)
        self._entries = [entry for one in lists for entry in one.entries]
        self._listed: list[_ListedName] = []
        self._objects: list[int] = []
        self._weak = defaultdict[str, list[int]](list)
        for number, entry in enumerate(self._entries):
            self._add(number, entry)
        self._index = NameIndex([one.name for one in self._listed])
        self._by_id = {(entry.list_name, entry.id): entry for entry in self._entries}
        self._accounts = {
            account: self._by_id[one.name, entry_id]
            for one in lists
            for account, entry_id in one.accounts.items()
        }
        self._versions = {one.name: one.version for one in lists}
        # LogicV2 reads its tables when it first needs them: now, not in a payment's time.
        for entry in self._entries[:1]:
            listed = entry_entity(entry, self._generation)
            _compared(query_entity(Party("Ada", country="Cuba")), entry, listed)

    def version_of(self, entry: Entry) -> str:
        """Return the version of the list that an entry is on."""
        return self._versions[entry.list_name]

    def _add(self, number: int, entry: Entry) -> None:
        tag = type_tag(entry.schema)
        if tag not in _ENTITIES:
            self._objects.append(number)
            return
        self._listed += [_ListedName(name, number) for name in list_names(tag, entry.names)]
        for alias in entry.weak_aliases:
            self._weak[_squashed(alias)].append(number)

    def entry(self, list_name: str, entry_id: str) -> Entry | None:
        """Return the entry of a list with an id."""
        return self._by_id.get((list_name, entry_id))

    def account(self, account_id: str) -> Entry | None:
        """Return the entry that has an account; a bank's prefix, `north-`, is left out."""
        parts = account_id.split("-")
        for at in range(len(parts)):
            found = self._accounts.get("-".join(parts[at:]))
            if found is not None:
                return found
        return None

    def screen(self, party: Party, without: frozenset[str] = frozenset()) -> Match | None:
        """Return the best entry at or above the threshold, or None; `without`: keys of entries."""
        best, query, compared = None, None, set[int]()
        for bound, number in self._ranked(party):
            if best is not None and bound <= best.score:
                break
            entry = self._entries[number]
            if entry.key in without or number in compared:
                continue
            compared.add(number)
            query = query or query_entity(party)
            match = _compared(query, entry, entry_entity(entry, self._generation))
            best = _better(party, best, match)
        return best

    def _ranked(self, party: Party) -> Iterator[tuple[int, int]]:
        """Yield the entries to compare in full and the highest score of each, best first.

        Who needs no further entry spares the comparison of the names that can only be worse: a
        third of a listed name's time.
        """
        if type_tag(party.kind) not in _ENTITIES:
            yield from ((CERTAIN, number) for number in self._objects)
            return
        waiting = [(-CERTAIN, -number) for number in self._weak.get(_squashed(party.name), ())]
        heapify(waiting)
        for bound, name, listed in self._candidates(party):
            while waiting and -waiting[0][0] >= bound:
                highest, number = heappop(waiting)
                yield -highest, -number
            if (score := _similarity(name, listed.name)) >= LOWEST_SCORE:
                heappush(waiting, (-_per_cent(score), -listed.entry))
        yield from ((-highest, -number) for highest, number in sorted(waiting))

    def _candidates(self, party: Party) -> list[tuple[int, Name, _ListedName]]:
        """Return list names, the highest per cent that each can reach with a name, best first."""
        found = [
            (min(CERTAIN, _per_cent(bound + SLACK)), name, self._listed[number])
            for name in query_names(party)
            for number, bound in zip(
                *(hits.tolist() for hits in self._index.candidates(name)), strict=True
            )
        ]
        return sorted(found, key=itemgetter(0), reverse=True)

    def scan(self, parties: Sequence[Party]) -> list[Match | None]:
        """Return what LogicV2 finds for each party in the whole list: the measure of `screen`.

        It takes a quarter of a second a party.
        """
        queries = [(party, query_entity(party)) for party in parties]
        best: list[Match | None] = [None] * len(queries)
        for entry in self._entries:
            listed = entry_entity(entry, self._generation)
            for at, (party, query) in enumerate(queries):
                best[at] = _better(party, best[at], _compared(query, entry, listed))
        return best


def _similarity(name: Name, listed: Name) -> float:
    if listed.comparable == name.comparable:
        return 1.0
    result, _ = match_name_symbolic(name, listed, _COMPARE, _EXTRA_QUERY, _EXTRA_RESULT, _FAMILY)
    return result.score


def _better(party: Party, best: Match | None, match: Match) -> Match | None:
    if not _is_hit(party, match) or (best is not None and match.score <= best.score):
        return best
    return match


def _compared(query: EntityProxy, entry: Entry, listed: EntityProxy) -> Match:
    result = LogicV2.compare(query, listed, _CONFIG)
    return Match(entry, _per_cent(result.score), _explained(result))


def _is_hit(party: Party, match: Match) -> bool:
    """Return whether a match counts: a name of single Han characters needs a second factor."""
    return match.score >= THRESHOLD and (
        not is_of_single_han(party.name) or _factor_agrees(party, match.entry)
    )


def _per_cent(score: float) -> int:
    return round(CERTAIN * score)


def _explained(result: MatchingResult) -> str:
    return " ".join(
        found.detail for found in result.explanations.values() if found.score and found.detail
    )


def _squashed(name: str) -> str:
    return " ".join(name.casefold().split())


def _factor_agrees(party: Party, entry: Entry) -> bool:
    """Return whether the party's country or birth date is one of the entry's."""
    birth, country = party.birth_date, party.country
    return (country is not None and country in entry.countries) or (
        birth is not None
        and any(date.startswith(birth) or birth.startswith(date) for date in entry.birth_dates)
    )
