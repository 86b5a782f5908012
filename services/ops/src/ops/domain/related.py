"""Payments that belong to one another: the same payer, payee or request. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from ops.domain.rows import Row

SAME_REQUEST_WITHIN = timedelta(hours=1)
"""A customer who repeats an order under another transaction id does it soon."""
MOST = 12


@dataclass(frozen=True, slots=True)
class Related:
    """Another payment, and what the two have in common."""

    payment: Row
    why: Sequence[str]


def related_to(payment: Row, others: Sequence[Row]) -> list[Related]:
    """Return the other payments once each: those with most in common first, then the newest."""
    once = {one["payment_id"]: one for one in others}
    once.pop(payment["payment_id"], None)
    found = [Related(one, common_of(payment, one)) for one in once.values()]
    newest = sorted(found, key=lambda one: str(one.payment["created_at"]), reverse=True)
    return sorted((one for one in newest if one.why), key=lambda one: -len(one.why))[:MOST]


def common_of(one: Row, other: Row) -> list[str]:
    """Return what two payments have in common, in words."""
    named = [
        ("user_id", "same customer"),
        ("from_account", "same payer"),
        ("to_account", "same payee"),
    ]
    found = [words for name, words in named if one.get(name) == other.get(name)]
    money = [(payment.get("amount"), payment.get("currency")) for payment in (one, other)]
    if len(found) == len(named) and money[0] == money[1] and _apart(one, other):
        found.append("same order again")
    return found


def _apart(one: Row, other: Row) -> bool:
    times = [datetime.fromisoformat(str(payment["created_at"])) for payment in (one, other)]
    return abs(times[0] - times[1]) <= SAME_REQUEST_WITHIN
