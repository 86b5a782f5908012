"""Entries of a bank's statement, compared with the instructions. Pure."""

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
    """The result of comparing one transfer."""

    MATCHED = "MATCHED"
    IN_MOTION = "IN_MOTION"
    """Booked at the bank and not yet settled here; the next enquiry will settle it."""
    MISSING_THERE = "MISSING_THERE"
    MISSING_HERE = "MISSING_HERE"
    AMOUNT_DIFFERS = "AMOUNT_DIFFERS"
    OUTCOME_UNKNOWN = "OUTCOME_UNKNOWN"
    """Not from a statement: the bank gives no outcome, and the transfer is not sent again."""
    LATE_ANSWER = "LATE_ANSWER"
    """Not from a statement: a bank's response contradicts an outcome."""


BREAKS = (Finding.MISSING_THERE, Finding.MISSING_HERE, Finding.AMOUNT_DIFFERS)
"""The findings that statements show, and that later statements can close."""


@dataclass(frozen=True, slots=True)
class StatementEntry:
    """One line of a bank's statement: a payment or its reversal."""

    uetr: UUID
    """The bank's UETR, or a derived one if the bank's is not readable."""
    money: Money | None
    """None if the amount is unreadable or has the wrong number of decimals."""
    is_reversal: bool = False
    """Whether the bank has reversed the payment (the statement has a negative amount)."""
    bank_reference: str | None = None
    booked_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Booking:
    """A movement of money at a partner; stored once, though several statements may list it."""

    id: UUID
    partner: str
    day: date
    """The day of the first statement that lists it."""
    entry: StatementEntry


@dataclass(slots=True)
class Reading:
    """One reading of a partner's statement of a day; gives the same line the same id."""

    partner: str
    day: date
    _unnamed: Counter[UUID] = field(default_factory=Counter)

    def bookings(self, entries: Iterable[StatementEntry]) -> list[Booking]:
        """Return the movements on the next page.

        Lines with the same bank reference and time are one movement on any page or day: pages
        overlap while a statement grows. Twice on one page they are two movements. A line without
        reference or time is always a new movement: a false break is better than a missed one.
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
        self._unnamed[entry.uetr] += 1
        return f"{self.day}:{self._unnamed[entry.uetr]}"


Break = tuple[Finding, str]
"""Its kind and its details. The details are part of the case's id: do not reword them."""


def breaks_of(
    partner: str, booked: Iterable[Booking], instruction: Instruction | None
) -> list[Break]:
    """Compare all bookings of a partner under a UETR with the instruction."""
    net = _net_bookings(booked)
    moved = any(net.values())
    if instruction is None:
        return [(Finding.MISSING_HERE, "booked there, unknown here")] if moved else []
    if instruction.partner != partner:
        elsewhere = f"booked there, sent to {instruction.partner} by us"
        return [(Finding.MISSING_HERE, elsewhere)] if moved else []
    if instruction.status is Status.REJECTED:
        returned = "booked there, REJECTED and returned here"
        return [(Finding.MISSING_HERE, returned)] if moved else []
    return [*_amount_breaks(net, instruction), *_count_breaks(net.total(), instruction)]


def finding_of(instruction: Instruction | None) -> Finding:
    """Return the finding of a transfer without a break."""
    is_open = instruction is not None and instruction.status not in FINAL
    return Finding.IN_MOTION if is_open else Finding.MATCHED


def has_moved_money(booked: Iterable[Booking]) -> bool:
    """Return whether the bank has moved money and not reversed it."""
    return any(_net_bookings(booked).values())


def _net_bookings(booked: Iterable[Booking]) -> Counter[Money | None]:
    """Count the bookings of each amount; a reversal subtracts one."""
    net: Counter[Money | None] = Counter()
    for booking in booked:
        net[booking.entry.money] += -1 if booking.entry.is_reversal else 1
    return net


def _amount_breaks(net: Counter[Money | None], instruction: Instruction) -> list[Break]:
    others = sorted(
        str(money or "an amount that is none")
        for money, times in net.items()
        if times and money != instruction.money
    )
    if not others:
        return []
    return [(Finding.AMOUNT_DIFFERS, f"{' and '.join(others)} there, {instruction.money} here")]


def _count_breaks(times: int, instruction: Instruction) -> list[Break]:
    if times > 1:
        return [(Finding.MISSING_HERE, f"booked there {times} times")]
    if times < 1 and instruction.status is Status.SETTLED:
        return [(Finding.MISSING_THERE, "SETTLED here, booked and taken back there")]
    return []
