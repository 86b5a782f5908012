"""Where a check reads: the owners' exports and the banks' statements."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import takewhile
from typing import Any, TypeVar
from uuid import UUID

from ops.check import rows
from ops.check.joining import entries_of, merge_join, paged
from ops.check.movements import Movements
from ops.check.rows import Instruction, Payment, Timeline
from ops.errors import NotAskedError
from ops.system import System

PAGE = 1000
TIMELINES_PAGE = 500
"""Audit's own limit."""
FIRST = str(UUID(int=0))
LAST = str(UUID(int=2**128 - 1))

T = TypeVar("T")
Joined = tuple[str, tuple[Payment | None, Instruction | None, Timeline | None]]


@dataclass(frozen=True, slots=True)
class Span:
    """Payment ids behind `after`, up to `until`."""

    after: str = FIRST
    until: str = LAST
    page: int = PAGE
    """Rows that are asked for at once."""


def span_of(payment_id: str) -> Span:
    """Return the span that holds one payment."""
    return Span(str(UUID(int=max(0, UUID(payment_id).int - 1))), payment_id, page=1)


class Sources:
    """The running system, as far as a check asks it."""

    def __init__(self, system: System) -> None:
        self._system = system

    def owner_findings(self, owner: str, **query: Any) -> dict[str, Any]:
        """Return what an owner has found by itself."""
        found: dict[str, Any] = self._system.get(owner, "/admin/check", **query)
        return found

    def joined(self, span: Span) -> Iterator[Joined]:
        """Yield, by payment id, what confirm, settlement and audit have for it."""
        payments = self._read(
            ("confirm", "/admin/payments/export", "payments"), rows.payment_of, span, span.page
        )
        instructions = self._read(
            ("settlement", "/admin/instructions/export", "instructions"),
            rows.instruction_of,
            span,
            span.page,
        )
        timelines = self._read(
            ("audit", "/admin/timelines", "timelines"),
            rows.timeline_of,
            span,
            min(span.page, TIMELINES_PAGE),
        )
        return merge_join(
            (payments, lambda one: one.id),
            (instructions, lambda one: one.payment_id),
            (timelines, lambda one: one.payment_id),
        )

    def last_of_page(self, after: str) -> str:
        """Return the last id of the page of payments behind `after`; LAST where it is the end."""
        query = {"after": after, "limit": PAGE}
        page = self._system.get("confirm", "/admin/payments/export", **query)["payments"]
        return str(page[-1]["payment_id"]) if len(page) == PAGE else LAST

    def movements(self, until: date, days: int) -> Movements:
        """Return what the banks moved on the days up to `until`."""
        found = Movements()
        for back in range(days):
            day = (until - timedelta(days=back)).isoformat()
            try:
                with self._system.stream("partner_bank", "/statement", date=day) as chunks:
                    found.add(rows.movement_of(entry) for entry in entries_of(chunks))
            except (ValueError, KeyError, TypeError) as error:
                raise NotAskedError(f"partner_bank: {error} at /statement of {day}") from None
        return found

    def _read(
        self,
        where: tuple[str, str, str],
        row_of: Callable[[Any], T],
        span: Span,
        limit: int,
    ) -> Iterator[T]:
        owner, path, name = where

        def fetch(after: str) -> list[Any]:
            found = self._system.get(owner, path, after=after, limit=limit)[name]
            page: list[Any] = found
            return page

        raw = paged(fetch, lambda row: str(row["payment_id"]), span.after)
        return map(row_of, takewhile(lambda row: row["payment_id"] <= span.until, raw))
