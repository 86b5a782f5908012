"""Exceptions: two people have found that an account's holder is not an entry of a list. Pure."""

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from screening.domain.entries import Entry

ACT = "SCREENING_EXCEPTION"
"""The act that needs two people; the trigger of the table names it, too."""
LONGEST = timedelta(days=366)
"""After it two people look again. The table has the same limit."""


@dataclass(frozen=True, slots=True)
class Excepted:
    """An account, and the entry that its holder is not."""

    account_id: str
    list_name: str
    entry_id: str
    reason: str
    last_day: date
    """In UTC, that day included."""

    @property
    def about(self) -> str:
        """What a proposal is about, without names."""
        return f"{self.account_id} is not {self.list_name} {self.entry_id}"


def fault_of(last_day: date, today: date) -> str | None:
    """Say why an exception cannot last until a day; None where it can."""
    if last_day < today:
        return "must not be in the past"
    if last_day > today + LONGEST:
        return f"must be at most {LONGEST.days} days from today"
    return None


def shown(entry: Entry, version: str) -> dict[str, Any]:
    """Return the entry as the second person reads it."""
    return {
        "version": version,
        "names": entry.names,
        "weak_aliases": entry.weak_aliases,
        "birth_dates": entry.birth_dates,
        "countries": entry.countries,
        "programmes": entry.programmes,
    }
