"""What a bank's statement says, and what of it does not fit our instructions. Pure."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum
from uuid import NAMESPACE_URL, UUID, uuid5

from payment_schemas.money import Money
from settlement.domain.instruction import FINAL, Instruction, Status

BOOKINGS = uuid5(NAMESPACE_URL, "urn:countersign:booking")


class Finding(StrEnum):
    """What one line of a comparison comes to."""

    MATCHED = "MATCHED"
    IN_MOTION = "IN_MOTION"
    """Booked there, and not settled here yet: the next enquiry will say so."""
    MISSING_THERE = "MISSING_THERE"
    MISSING_HERE = "MISSING_HERE"
    AMOUNT_DIFFERS = "AMOUNT_DIFFERS"
    OUTCOME_UNKNOWN = "OUTCOME_UNKNOWN"
    """No statement's: the bank will not say what became of a transfer, and is sent it no more."""
    LATE_ANSWER = "LATE_ANSWER"
    """No statement's: the bank has contradicted an outcome."""


BREAKS = (Finding.MISSING_THERE, Finding.MISSING_HERE, Finding.AMOUNT_DIFFERS)
"""What statements alone show, and so explain in the end."""


@dataclass(frozen=True, slots=True)
class StatementEntry:
    """One line of a bank's statement: money that moved, or came back."""

    uetr: UUID
    """One of our making where the bank's is not readable."""
    money: Money | None
    """None where the amount is none of ours: unreadable, or in another currency's decimals."""
    is_reversal: bool = False
    """Whether the bank has taken the money back: it then states a negative amount."""
    bank_reference: str | None = None
    booked_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Booking:
    """A movement of money at a partner, once, on however many pages and statements it stands."""

    id: UUID
    partner: str
    day: date
    """Of the first statement on which it was seen."""
    entry: StatementEntry


@dataclass(slots=True)
class Reading:
    """One passage through a partner's statement of a day; it knows each line again."""

    partner: str
    day: date
    _nameless: Counter[UUID] = field(default_factory=Counter)

    def bookings(self, entries: Iterable[StatementEntry]) -> list[Booking]:
        """Return the movements on the next page.

        A line with the bank's reference and time is the same wherever it stands: pages overlap
        while a statement grows, and banks differ about the day. Twice in one answer it is two
        movements. Lines that lack either cannot be told apart, so each is one more: better a
        break that a person closes than one that nobody sees.
        """
        on_page: Counter[str] = Counter()
        found = []
        for entry in entries:
            name = f"{self.partner}:{entry.uetr}:{entry.is_reversal}:{self._name(entry)}"
            on_page[name] += 1
            name = f"{name}:{on_page[name]}"
            found.append(Booking(uuid5(BOOKINGS, name), self.partner, self.day, entry))
        return found

    def _name(self, entry: StatementEntry) -> str:
        if entry.bank_reference and entry.booked_at:
            return f"{entry.bank_reference}:{entry.booked_at.isoformat()}"
        self._nameless[entry.uetr] += 1
        return f"{self.day}:{self._nameless[entry.uetr]}"


Break = tuple[Finding, str]
"""Its kind, and in words what does not fit."""


def breaks_of(partner: str, booked: Iterable[Booking], ours: Instruction | None) -> list[Break]:
    """Say what does not fit between all that a partner has booked under a UETR and our books."""
    standing = _standing(booked)
    moved = any(standing.values())
    if ours is None:
        return [(Finding.MISSING_HERE, "booked there, unknown here")] if moved else []
    if ours.partner != partner:
        elsewhere = f"booked there, sent to {ours.partner} by us"
        return [(Finding.MISSING_HERE, elsewhere)] if moved else []
    if ours.status is Status.REJECTED:
        returned = "booked there, REJECTED and returned here"
        return [(Finding.MISSING_HERE, returned)] if moved else []
    return [*_amounts(standing, ours), *_times(standing.total(), ours)]


def finding_of(ours: Instruction | None) -> Finding:
    """Say how a transfer stands about which nothing is broken."""
    is_open = ours is not None and ours.status not in FINAL
    return Finding.IN_MOTION if is_open else Finding.MATCHED


def is_moved(booked: Iterable[Booking]) -> bool:
    """Say whether money has moved there that the bank has not taken back."""
    return any(_standing(booked).values())


def _standing(booked: Iterable[Booking]) -> Counter[Money | None]:
    """Count what is booked by amount; what was taken back is subtracted."""
    standing: Counter[Money | None] = Counter()
    for one in booked:
        standing[one.entry.money] += -1 if one.entry.is_reversal else 1
    return standing


def _amounts(standing: Counter[Money | None], ours: Instruction) -> list[Break]:
    others = sorted(
        str(money or "an amount that is none")
        for money, times in standing.items()
        if times and money != ours.money
    )
    if not others:
        return []
    return [(Finding.AMOUNT_DIFFERS, f"{' and '.join(others)} there, {ours.money} here")]


def _times(times: int, ours: Instruction) -> list[Break]:
    if times > 1:
        return [(Finding.MISSING_HERE, f"booked there {times} times")]
    if times < 1 and ours.status is Status.SETTLED:
        return [(Finding.MISSING_THERE, "SETTLED here, booked and taken back there")]
    return []
