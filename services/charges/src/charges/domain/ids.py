"""Ids as clients see them: a prefix and 32 hexadecimal digits, parsed strictly."""

import re
from uuid import UUID

_TRANSACTION = re.compile(r"txn_([0-9a-f]{32})")


def transaction_id(charge_id: UUID) -> str:
    """Return a charge's id for clients."""
    return f"txn_{charge_id.hex}"


def payment_id(charge_id: UUID) -> str:
    """Return a charge's id as `paymentId` of native-payments-api.md."""
    return f"pay_{charge_id.hex}"


def charge_id_of(text: str) -> UUID | None:
    """Return the charge's id; None where the text is none."""
    found = _TRANSACTION.fullmatch(text)
    return UUID(hex=found[1]) if found else None


def refund_id(row_id: UUID) -> str:
    """Return a refund's id for clients."""
    return f"rfd_{row_id.hex}"
