"""What was discarded, and the payments that dead letters concern, at the running system."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ops.clients.listings import DISCARDS
from ops.clients.system import System
from ops.domain.concerns import has_ended
from ops.domain.rows import Row

MOST_DISCARDED = 100
"""Dead letters of one discard: two people read what each of them concerns."""


def discarded_at(system: System) -> dict[str, datetime]:
    """Return the places of discarded letters, each with its time."""
    return {
        place: datetime.fromisoformat(one["discarded_at"])
        for one in reversed(system.all_rows(DISCARDS))
        for place in one["places"]
    }


@dataclass(frozen=True, slots=True)
class Concerned:
    """The payments that dead letters concern, by id, and the ids of those that have not ended."""

    by_id: Mapping[str, Row]
    open: Sequence[str]


def concerned_of(system: System, letters: Iterable[Mapping[str, Any]]) -> Concerned:
    """Return the payments that letters concern, as confirm knows them now."""
    found = payments_of(system, letters)
    return Concerned(found, [name for name, one in found.items() if not has_ended(one)])


def payments_of(system: System, letters: Iterable[Mapping[str, Any]]) -> dict[str, Row]:
    """Return the payments that letters concern, by id, as confirm knows them now."""
    named = {one["concerns"].get("payment_id") for one in letters} - {None}
    if not named:
        return {}
    found: Sequence[Row] = system.get("confirm", "/admin/payments/named", payment_id=sorted(named))[
        "payments"
    ]
    return {payment["payment_id"]: payment for payment in found}
