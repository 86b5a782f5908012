"""Ids of users and clients in tokens, and e-mail addresses. Pure."""

import re
from uuid import UUID

from payment_schemas.sealed import Personal

PREFIX = "cs_"
"""What every subject of identity begins with, and of no other issuer (SECOND_SUBJECT_PREFIX)."""
_USER, _CLIENT = f"{PREFIX}user_", f"{PREFIX}client_"
_HEX = re.compile(r"[0-9a-f]{32}")
CLIENT_ID = r"^[a-z][a-z0-9-]{2,39}$"
MOST_EMAIL_CHARACTERS = 254
"""Source: RFC 5321, 4.5.3.1.3."""
_EMAIL = re.compile(r"[^\s@]{1,64}@[^\s@.]+(\.[^\s@.]+)+")


def user_subject(user_id: UUID) -> str:
    """Return the `sub` of a user."""
    return f"{_USER}{user_id.hex}"


def client_subject(client_id: str) -> str:
    """Return the `sub` of a client."""
    return f"{_CLIENT}{client_id}"


def user_id_of(subject: str) -> UUID | None:
    """Return the user that a subject names; None for a client's."""
    text = subject.removeprefix(_USER)
    return UUID(hex=text) if subject.startswith(_USER) and _HEX.fullmatch(text) else None


def is_own(actor: str, subject: str) -> bool:
    """Return whether an actor, `iss|sub`, is the user; no other issuer has such subjects."""
    return actor.rpartition("|")[2].lower() == subject.lower()


def is_client_id(text: str) -> bool:
    """Return whether a text can be the id of a client."""
    return re.fullmatch(CLIENT_ID, text) is not None


def email_of(text: str) -> Personal:
    """Return an e-mail address in lower case; raise ValueError for one that cannot be an address.

    Addresses that differ by case alone are one: providers deliver them to one mailbox.
    """
    address = text.strip().lower()
    is_short = len(address) <= MOST_EMAIL_CHARACTERS
    # No control character and no lone surrogate, which PostgreSQL does not store.
    if not (is_short and address.isprintable() and _EMAIL.fullmatch(address)):
        raise ValueError("must be an e-mail address")
    return Personal(address)
