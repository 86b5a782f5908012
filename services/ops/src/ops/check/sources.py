"""Where a check reads: the owners' exports and the banks' statements."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import takewhile
from typing import Any
from uuid import UUID

from ops.check import rows
from ops.check.joining import entries_of, merge_join, paged
from ops.check.movements import Movements
from ops.check.rules import Seen
from ops.errors import NotAskedError
from ops.system import System

PAGE = 1000
MOST_CASES = 1000
FIRST = str(UUID(int=0))
LAST = str(UUID(int=2**128 - 1))

Joined = tuple[str, Seen]


@dataclass(frozen=True, slots=True)
class Export:
    """Rows about payments that an owner hands out by payment id."""

    owner: str
    path: str
    name: str
    row_of: Callable[[Any], Any]
    page: int = PAGE
    """The owner's own limit."""


EXPORTS = (
    Export("confirm", "/admin/payments/export", "payments", rows.payment_of),
    Export("settlement", "/admin/instructions/export", "instructions", rows.instruction_of),
    Export("audit", "/admin/timelines", "timelines", rows.timeline_of, page=500),
    Export("otp", "/admin/challenges/export", "challenges", rows.challenges_of),
    Export("risk", "/admin/assessments/export", "assessments", rows.assessment_of),
    Export("notification", "/admin/deliveries/export", "deliveries", rows.deliveries_of),
)
"""In the order of the fields of Seen."""


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
        """Yield, by payment id, what each owner has for it."""
        found = merge_join(*((self._read(one, span), _payment_id) for one in EXPORTS))
        for payment_id, rows_of_all in found:
            yield payment_id, Seen(*rows_of_all)

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

    def cases(self) -> list[dict[str, Any]]:
        """Return settlement's cases, resolved and then unresolved, at most MOST_CASES of each."""
        found: list[dict[str, Any]] = []
        for status in ("RESOLVED", None):
            query = {"status": status, "limit": MOST_CASES}
            found += self._system.get("settlement", "/admin/cases", **query)["cases"]
        return found

    def _read(self, export: Export, span: Span) -> Iterator[Any]:
        limit = min(span.page, export.page)

        def fetch(after: str) -> list[Any]:
            found = self._system.get(export.owner, export.path, after=after, limit=limit)
            page: list[Any] = found[export.name]
            return page

        raw = paged(fetch, lambda row: str(row["payment_id"]), span.after)
        return map(export.row_of, takewhile(lambda row: row["payment_id"] <= span.until, raw))


def _payment_id(row: Any) -> str:
    name: str = row.payment_id
    return name
