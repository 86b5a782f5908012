"""A bank's statement, with the injected faults."""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Any

from mocks.faults import Faults
from mocks.partner_bank.ledger import SLICE_ROWS, BankLedger, Busy, Entry, Position, Span
from payment_schemas.money import Money

Line = dict[str, Any]
Render = Callable[[Entry], Line | None]
"""Returns the line of an entry, or None to omit it."""
DAY = timedelta(days=1)
AGAIN = timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True)
class FaultyStatement:
    """One bank's statement: its bookings in order, then the lines of injected faults."""

    ledger: BankLedger
    faults: Faults
    partner: str
    now: datetime

    def _sections(self, day: date) -> list[tuple[date, Render]]:
        """Return the sections of a statement: booking day, and how to render its entries."""
        parts: list[tuple[date, Render]] = [(day, self._in_order)]
        if self.faults.rates["twice_on_statement"]:
            parts.append((day, self._twice))
        if self.faults.rates["again_on_next_statement"]:
            parts.append((day - DAY, self._again))
        if self.faults.rates["on_next_statement"]:
            parts.append((day - DAY, self._late))
        return parts

    async def page(self, day: date, after: str | None, limit: int) -> dict[str, Any]:
        """Return the page after the position in `after`. Raises ValueError, Busy."""
        if after is not None and self.faults.rates["statement_breaks_off"]:
            raise Busy("the statement breaks off")
        parts = self._sections(day)
        number, position_in_statement = _section_and_position(after)
        if number >= len(parts):
            raise ValueError(after)
        booked_on, tell = parts[number]
        entries = await self.ledger.page(
            Span(booked_on, self.now, self.partner),
            position_in_statement or Span.beginning(booked_on),
            limit,
        )
        lines = [line for line in map(tell, entries) if line is not None]
        return {"entries": lines, "next": _next(number, entries, limit, len(parts))}

    async def whole(self, day: date) -> AsyncIterator[list[Line]]:
        """Yield all pages."""
        after: str | None = None
        while True:
            page = await self.page(day, after, SLICE_ROWS)
            yield page["entries"]
            after = page["next"]
            if after is None:
                return

    def _in_order(self, entry: Entry) -> Line | None:
        if self._strikes("omit_from_statement", entry) or self._strikes("on_next_statement", entry):
            return None
        shown = line_of(entry)
        if self._strikes("wrong_amount_on_statement", entry):
            money = entry.transfer.order.money
            shown["amount"] = Money(money.amount_minor + 1, money.currency).major()
        return shown

    def _twice(self, entry: Entry) -> Line | None:
        return _later(entry, AGAIN) if self._strikes("twice_on_statement", entry) else None

    def _again(self, entry: Entry) -> Line | None:
        return _later(entry, DAY) if self._strikes("again_on_next_statement", entry) else None

    def _late(self, entry: Entry) -> Line | None:
        return _later(entry, DAY) if self._strikes("on_next_statement", entry) else None

    def _strikes(self, kind: Any, entry: Entry) -> bool:
        name = f"{entry.partner} {entry.transfer.order.uetr}".encode()
        return self.faults.affects(kind, name)


def line_of(entry: Entry) -> Line:
    """Return a movement of money as a statement line."""
    order, booked_at = entry.transfer.order, entry.transfer.booked_at
    assert booked_at is not None  # noqa: S101 - a statement lists what was booked
    return {
        "partner": entry.partner,
        "uetr": order.uetr,
        "end_to_end_id": order.end_to_end_id,
        "amount": order.money.major(),
        "currency": order.money.currency,
        "booked_at": booked_at.isoformat(timespec="microseconds").replace("+00:00", "Z"),
        "bank_reference": entry.transfer.bank_reference,
    }


def _later(entry: Entry, delay: timedelta) -> Line:
    booked_at = entry.transfer.booked_at
    assert booked_at is not None  # noqa: S101 - a statement lists what was booked
    moved = replace(entry.transfer, booked_at=booked_at + delay)
    return line_of(replace(entry, transfer=moved))


def _section_and_position(after: str | None) -> tuple[int, Position | None]:
    """Parse the section and position in `next`: `section/time/position`."""
    if after is None:
        return 0, None
    part, time, position = after.split("/")
    return int(part), (time, int(position)) if time else None


def _next(number: int, entries: list[Entry], limit: int, parts: int) -> str | None:
    if len(entries) == limit:
        time, position = entries[-1].position_in_statement
        return f"{number}/{time}/{position}"
    return f"{number + 1}//0" if number + 1 < parts else None
