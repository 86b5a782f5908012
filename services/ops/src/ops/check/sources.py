"""The sources of a check: the services' exports and the banks' statements."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import takewhile
from operator import attrgetter
from typing import Any
from uuid import UUID

from ops.check.joining import entries_of, merge_join
from ops.check.movements import Movements
from ops.clients import listings
from ops.clients.listings import FIRST, Listing
from ops.clients.system import System
from ops.domain import rows
from ops.domain.errors import UnavailableError
from ops.domain.rows import Row
from payment_schemas.invariants import PaymentRecords

PAGE = listings.PAYMENTS_EXPORT.page
MOST_CASES = 1000
LAST = str(UUID(int=2**128 - 1))

Joined = tuple[str, PaymentRecords]


EXPORTS: Mapping[Listing, Callable[[Any], Any]] = {
    listings.PAYMENTS_EXPORT: rows.payment_of,
    listings.INSTRUCTIONS_EXPORT: rows.instruction_of,
    listings.TIMELINES_EXPORT: rows.timeline_of,
    listings.CHALLENGES_EXPORT: rows.challenges_of,
    listings.ASSESSMENTS_EXPORT: rows.assessment_of,
    listings.DELIVERIES_EXPORT: rows.deliveries_of,
}
"""The exports by payment id and their parsers, in the order of PaymentRecords' fields."""


@dataclass(frozen=True, slots=True)
class Span:
    """Payment ids after `after`, up to `until`."""

    after: str = FIRST
    until: str = LAST
    page: int = PAGE
    """Rows a request."""


def span_of(payment_id: str) -> Span:
    """Return the span of one payment."""
    return Span(str(UUID(int=max(0, UUID(payment_id).int - 1))), payment_id, page=1)


class Sources:
    """The queries of a check to the running system."""

    def __init__(self, system: System) -> None:
        self._system = system

    def owners(self) -> tuple[str, ...]:
        """Return the services that own state."""
        return self._system.addresses.owners()

    def owner_findings(self, owner: str, **query: Any) -> dict[str, Any]:
        """Return the findings of a service's own check."""
        found: dict[str, Any] = self._system.get(owner, "/admin/check", **query)
        return found

    def joined(self, span: Span) -> Iterator[Joined]:
        """Yield each payment id with the rows of all services."""
        found = merge_join(*((self._read(one, span), attrgetter("payment_id")) for one in EXPORTS))
        for payment_id, rows_of_all in found:
            yield payment_id, PaymentRecords(*rows_of_all)

    def last_of_page(self, after: str) -> str:
        """Return the last id of the page of payments after `after`; LAST for the last page."""
        page = self._system.rows(listings.PAYMENTS_EXPORT, after=after, limit=PAGE)
        return str(page[-1]["payment_id"]) if len(page) == PAGE else LAST

    def movements(self, until: date, days: int) -> Movements:
        """Return the banks' movements of the days up to `until`."""
        found = Movements()
        # A system may have no bank on Kafka that shows its book.
        kafka_banks = [one for one in ("south_bank",) if one in self._system.addresses.urls]
        for back in range(days):
            for bank in ("partner_bank", *kafka_banks):
                self._add_statement(found, bank, (until - timedelta(days=back)).isoformat())
        return found

    def _add_statement(self, found: Movements, bank: str, day: str) -> None:
        try:
            with self._system.stream(bank, "/statement", date=day) as chunks:
                found.add(rows.movement_of(entry) for entry in entries_of(chunks))
        except (ValueError, KeyError, TypeError) as error:
            what = f"{bank}: {error} at /statement of {day}"
            raise UnavailableError(what, f"make logs S={bank}") from None

    def cases(self) -> list[Row]:
        """Return settlement's cases, resolved, then unresolved, at most MOST_CASES of each."""
        return [
            case
            for status in ("RESOLVED", None)
            for case in self._system.rows(listings.CASES, status=status, limit=MOST_CASES)
        ]

    def _read(self, export: Listing, span: Span) -> Iterator[Any]:
        raw = self._system.pages(export, span.after, span.page)
        wanted = takewhile(lambda row: bool(row["payment_id"] <= span.until), raw)
        return map(EXPORTS[export], wanted)
