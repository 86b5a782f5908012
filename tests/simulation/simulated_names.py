"""Names of payees: some accounts have one, and a few of these names are listed."""

from zlib import crc32

LISTED, INNOCENT = "Oleskandr Varennikov", "Maria Garcia"


def name_of(account: str) -> str | None:
    """Return the name that clients give of an account's holder; None: they give none."""
    drawn = crc32(account.encode()) % 15
    if drawn % 3:
        return None
    return INNOCENT if drawn else LISTED
