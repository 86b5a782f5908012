"""What a screening found, as its caller reads it. Pure."""

import unicodedata
from dataclasses import dataclass
from typing import Any

from screening.domain.entries import Entry
from screening.domain.matching import CERTAIN, Screener


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result for one party."""

    by: tuple[str, ...]
    """What the party was screened by: `account`, `name`."""
    score: int = 0
    entry: Entry | None = None
    """The best entry; None: no hit."""
    version: str = ""
    """Of the entry's list."""
    explanation: str = ""
    """How the names agree. It contains names, and is for the caller alone."""
    excepted: tuple[Entry, ...] = ()
    """Entries that the name hits and that the party is not, as two people have found."""


def by_account(screener: Screener, account_id: str) -> Outcome:
    """Screen an account."""
    entry = screener.account(account_id)
    if entry is None:
        return Outcome(("account",))
    version = screener.version_of(entry)
    return Outcome(("account",), CERTAIN, entry, version, "the account is the entry's")


def body_of(outcome: Outcome, party_id: str) -> dict[str, Any]:
    """Return the result as JSON; the first three fields are the OFAC mock's."""
    entry = outcome.entry
    body = {
        "id": party_id,
        "hit": entry is not None,
        "match_score": outcome.score,
        "screened_by": list(outcome.by),
    }
    if outcome.excepted:
        body["excepted"] = [{"list": one.list_name, "id": one.id} for one in outcome.excepted]
    if entry is None:
        return body
    matched = {
        "list": entry.list_name,
        "version": outcome.version,
        "id": entry.id,
        "name": entry.names[0],
        "programmes": list(entry.programmes),
    }
    return body | {"entry": matched, "explanation": outcome.explanation}


def normalised(name: str) -> str:
    """Return a name without differences of case, spacing and composition: the key of its result."""
    return " ".join(unicodedata.normalize("NFC", name).casefold().split())
