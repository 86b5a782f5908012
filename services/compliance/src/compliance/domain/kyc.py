"""Identity checks: levels, documents, and how a profile's state changes. Pure.

A profile goes through rounds. A round begins with what the person states, collects the documents
of its level, is checked by a provider, and ends verified, rejected, or with a person who decides.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import Literal

Level = Literal["BASIC", "ENHANCED"]
DocumentType = Literal[
    "passport", "national_identity_card", "driving_licence", "residence_permit",
    "utility_bill", "bank_statement",
]  # fmt: skip
Status = Literal["verified", "pending", "expired", "rejected"]
"""As risk and its rules know it."""
Result = Literal["clear", "consider"]

IDENTITY: frozenset[DocumentType] = frozenset(
    {"passport", "national_identity_card", "driving_licence", "residence_permit"}
)
ADDRESS: frozenset[DocumentType] = frozenset({"utility_bill", "bank_statement"})
NEEDED: Mapping[Level, Sequence[frozenset[DocumentType]]] = MappingProxyType(
    {"BASIC": (IDENTITY,), "ENHANCED": (IDENTITY, ADDRESS)}
)
"""Of each of these kinds a level needs one document."""
RANKS: Mapping[Level, int] = MappingProxyType({"BASIC": 1, "ENHANCED": 2})


class State(StrEnum):
    """The state of the current round."""

    INITIATED = "INITIATED"
    CHECKING = "CHECKING"
    REVIEW = "REVIEW"
    """The provider is not sure: a person decides."""
    VERIFIED = "VERIFIED"
    REJECTED = "REJECTED"


class Refusal(StrEnum):
    """Why an act is not possible now."""

    NOT_BEGUN = "nothing was initiated"
    CHECKING = "the provider's result is awaited"
    IN_REVIEW = "a person decides about the result"
    ENDED = "the round has ended: initiate another one"
    DOCUMENTS_MISSING = "documents are missing"
    NOT_IN_REVIEW = "nothing waits for a decision"


@dataclass(frozen=True, slots=True)
class Profile:
    """The state of a person's identity checks, without personal data."""

    user_id: str
    round: int
    level: Level
    state: State
    verified_level: Level | None = None
    verified_at: datetime | None = None
    verified_until: datetime | None = None
    rejected_at: datetime | None = None
    """Until a later round verifies the person: another round alone excuses nobody."""
    announced: Status = "pending"
    """The status in the last event."""
    version: int = 1

    def status(self, now: datetime) -> Status:
        """Return the status; a verification holds while the next round is on its way."""
        if self.rejected_at is not None:
            return "rejected"
        if self.verified_until is None:
            return "pending"
        return "verified" if now < self.verified_until else "expired"


@dataclass(frozen=True, slots=True)
class Validity:
    """For how long a verification holds."""

    basic: timedelta
    enhanced: timedelta

    def until(self, level: Level, now: datetime, documents_end: Collection[date]) -> datetime:
        """Return the end of a verification: of the level, or of the first document to expire."""
        ends = [now + (self.basic if level == "BASIC" else self.enhanced)]
        # A document is valid on the day of its expiry.
        ends += [
            datetime.combine(day + timedelta(days=1), time(), tzinfo=UTC) for day in documents_end
        ]
        return min(ends)


def initiate(known: Profile | None, user_id: str, level: Level) -> Profile | Refusal:
    """Begin a round: the first one, a renewal, another level, or after a rejection."""
    if known is None:
        return Profile(user_id, 1, level, State.INITIATED)
    if known.state is State.CHECKING:
        return Refusal.CHECKING
    if known.state is State.REVIEW:
        return Refusal.IN_REVIEW
    if known.state is State.INITIATED:
        # Stated again: a repeat of a lost reply, or a correction.
        return replace(known, level=level)
    return replace(known, round=known.round + 1, level=level, state=State.INITIATED)


def may_add_document(known: Profile | None) -> Refusal | None:
    """Return why the round takes no document; None where it takes one."""
    if known is None:
        return Refusal.NOT_BEGUN
    match known.state:
        case State.INITIATED:
            return None
        case State.CHECKING:
            return Refusal.CHECKING
        case State.REVIEW:
            return Refusal.IN_REVIEW
        case _:
            return Refusal.ENDED


def verify(known: Profile | None, documents: Collection[DocumentType]) -> Profile | Refusal:
    """Send the round to the provider, once it has what its level needs."""
    if known is None:
        return Refusal.NOT_BEGUN
    if refusal := may_add_document(known):
        return refusal
    if missing(known.level, documents):
        return Refusal.DOCUMENTS_MISSING
    return replace(known, state=State.CHECKING)


def missing(level: Level, documents: Collection[DocumentType]) -> list[list[DocumentType]]:
    """Return the kinds of document that a level still needs, each as its choices."""
    return [sorted(kind) for kind in NEEDED[level] if not kind & set(documents)]


def conclude(known: Profile, result: Result, until: datetime, now: datetime) -> Profile:
    """Apply the provider's result. A round that has ended, or another one, is not changed.

    A document that has expired meanwhile verifies nobody, whatever the provider says of it.
    """
    if known.state is not State.CHECKING:
        return known
    if result == "consider" or until <= now:
        return replace(known, state=State.REVIEW)
    return _verified(known, until, now)


def decide(
    known: Profile | None, *, is_verified: bool, until: datetime, now: datetime
) -> Profile | Refusal:
    """Apply a person's decision about a round in review."""
    if known is None:
        return Refusal.NOT_BEGUN
    if known.state is not State.REVIEW:
        return Refusal.NOT_IN_REVIEW
    if is_verified:
        return _verified(known, until, now)
    return replace(
        known,
        state=State.REJECTED,
        verified_at=None,
        verified_until=None,
        verified_level=None,
        rejected_at=now,
    )


def announce(known: Profile, now: datetime) -> tuple[Profile, bool]:
    """Return the profile with its present status announced, and whether that is another one."""
    status = known.status(now)
    is_changed = status != known.announced
    return replace(known, announced=status, version=known.version + 1), is_changed


def _verified(known: Profile, until: datetime, now: datetime) -> Profile:
    return replace(
        known,
        state=State.VERIFIED,
        verified_level=known.level,
        verified_at=now,
        verified_until=until,
        rejected_at=None,
    )
