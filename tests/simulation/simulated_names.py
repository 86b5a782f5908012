"""Names of payees and payers: some are known, and a few of these are listed."""

from uuid import UUID
from zlib import crc32

LISTED, INNOCENT = "Oleskandr Varennikov", "Maria Garcia"


def name_of(account: str) -> str | None:
    """Return the name that clients give of an account's holder; None: they give none."""
    drawn = crc32(account.encode()) % 15
    if drawn % 3:
        return None
    return INNOCENT if drawn else LISTED


def payer_name_of(payment_id: UUID, seed: int) -> str | None:
    """Return the name that compliance knows of a payment's payer; None: it knows none.

    A payer may have another name for the next payment: it was verified anew. The payers of the
    directed flows are not listed.
    """
    drawn = crc32(f"payer {seed}/{payment_id}".encode()) % 15
    if drawn % 3:
        return None
    return INNOCENT if drawn else LISTED
