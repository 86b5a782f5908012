"""Search of payments at the services that own them, page by page."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ops.clients.payments import find_payments
from ops.clients.system import System
from ops.domain.rows import Row

PAGE = 50
MOST_EXPORTED = 10_000
"""Payments of one export: what a spreadsheet and one request carry."""


@dataclass(frozen=True, slots=True)
class PageOfPayments:
    """One page of a search."""

    payments: list[Row]
    next: str | None
    """The cursor of the next page; None at the end."""
    searched_to: str | None = None
    """The page has looked at payments back to this time only, and there are more; else None."""


def search_payments(
    system: System, asked: Mapping[str, Any], after: str | None, limit: int = PAGE
) -> PageOfPayments:
    """Return a page: by any id, or a partner's open transfers, or confirm's payments by fields."""
    if asked.get("id"):
        return PageOfPayments(find_payments(system, asked["id"], asked.get("user_id")), None)
    if asked.get("partner"):
        query = {"partner": asked["partner"], "after": after, "limit": limit}
        found = system.get("settlement", "/admin/instructions/search", **query)
        return PageOfPayments(
            [_of_instruction(row) for row in found["instructions"]], found["next"]
        )
    query = {name: value for name, value in asked.items() if name not in ("id", "partner")}
    found = system.get("confirm", "/admin/payments/search", **query, after=after, limit=limit)
    return PageOfPayments(found["payments"], found["next"], found["searched_to"])


def export_payments(system: System, asked: Mapping[str, Any]) -> Iterator[Row]:
    """Yield the payments of a search, at most MOST_EXPORTED of them."""
    left, after = MOST_EXPORTED, None
    while left > 0:
        page = search_payments(system, asked, after, min(left, 500))
        yield from page.payments
        left, after = left - max(1, len(page.payments)), page.next
        if after is None:
            return


def _of_instruction(row: Row) -> Row:
    """Return a transfer as a payment's row; what settlement does not know is left out."""
    return {
        **row,
        "state": "CONFIRMED",
        "settlement_status": row["status"],
        "from_account": row["debtor_account"],
        "to_account": row["creditor_account"],
    }
