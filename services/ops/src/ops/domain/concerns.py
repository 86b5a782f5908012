"""What a dead letter concerns: the payment that it names, and whether that has ended. Pure."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from ops.domain.masking import HIDDEN
from ops.domain.rows import Row

CONCERNS = ("payment_id", "transaction_id", "user_id", "uetr", "amount_minor", "amount", "currency")
"""Fields of an event that name a payment or money."""
_IN_MOTION = {"PENDING", "SENT", "UNKNOWN", "RECONCILE"}


def concern_of(data: Any) -> dict[str, Any]:
    """Return what a record with this masked data concerns; empty where it names nothing."""
    if not isinstance(data, Mapping):
        return {}
    named = {name: data[name] for name in CONCERNS if data.get(name) not in (None, "", HIDDEN)}
    if "payment_id" in named and not _is_uuid(named["payment_id"]):
        del named["payment_id"]
    return named


def has_ended(payment: Row) -> bool:
    """Say whether no further step of a payment is expected: declined, settled or rejected."""
    state, settlement = str(payment["state"]), str(payment["settlement_status"])
    return state == "DECLINED" or (state == "CONFIRMED" and settlement not in _IN_MOTION)


def _is_uuid(value: Any) -> bool:
    try:
        return bool(str(UUID(str(value))) == value)
    except ValueError:
        return False
