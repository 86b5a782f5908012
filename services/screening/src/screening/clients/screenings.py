"""Screenings of several parties: by account, then by name, without what they are excepted from."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

from screening.clients.lists import Current
from screening.domain.analysis import Party
from screening.domain.results import Outcome, by_account

PARTIES_AT_ONCE = 8
"""Between two pauses for other requests: some 10 ms of listed names."""
FindExceptions = Callable[[set[str]], Awaitable[Mapping[str, frozenset[str]]]]
"""Returns by account the keys of the entries that its holder is not."""


@dataclass(frozen=True, slots=True)
class Subject:
    """Who is screened: an account, a name, or both."""

    account_id: str | None = None
    party: Party | None = None
    """None: the name is not known."""

    def screened(self, current: Current, excepted: frozenset[str] = frozenset()) -> Outcome:
        """Return the result; a listed account is a hit, whatever is excepted."""
        if self.account_id is not None:
            found = by_account(current.screener, self.account_id)
            if found.entry is not None or self.party is None:
                return found
        if self.party is None:
            raise ValueError("a subject has an account or a name")
        by = self.account_id is not None
        return current.screen(self.party, by_account=by, excepted=excepted)


async def screen(
    current: Current, subjects: Sequence[Subject], exceptions: FindExceptions
) -> list[Outcome]:
    """Screen subjects; exceptions are read where names hit, as they are at that moment.

    Raises what `exceptions` raises: a hit never passes because nobody could say whether it may.
    """
    outcomes = []
    for number, subject in enumerate(subjects, start=1):
        outcomes.append(subject.screened(current))
        if number % PARTIES_AT_ONCE == 0:
            await asyncio.sleep(0)
    hits = [
        (place, account)
        for place, (subject, outcome) in enumerate(zip(subjects, outcomes, strict=True))
        if outcome.entry is not None and "name" in outcome.by and (account := subject.account_id)
    ]
    excepted = await exceptions({account for _, account in hits}) if hits else {}
    for place, account in hits:
        if account in excepted:
            outcomes[place] = subjects[place].screened(current, excepted[account])
    return outcomes
