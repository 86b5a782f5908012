"""Identifiers as types, and how the derived ones are derived.

An id that follows from another is a UUIDv5 of it, so that a second run of one cause makes the
same id and every reader's inbox recognises it.
"""

import re
from typing import Annotated, NewType
from uuid import NAMESPACE_URL, UUID, uuid5

from pydantic import AfterValidator, StringConstraints

from payment_schemas.card_numbers import holds_card_number

PaymentId = NewType("PaymentId", UUID)
"""Ours; derived from user and transaction, see `payment_id_of`."""
RequestId = NewType("RequestId", UUID)
"""One HTTP request at the gateway; answers are matched by it, never by transaction."""
ChallengeId = NewType("ChallengeId", UUID)
"""One one-time code."""
Uetr = NewType("Uetr", UUID)
"""Unique end-to-end transaction reference of a transfer (ISO 20022), a UUIDv4 fixed for ever."""
EventId = NewType("EventId", UUID)
"""`ce_id` of a record."""
DeliveryId = NewType("DeliveryId", UUID)
"""One message to one customer on one channel."""

IDENTIFIER_PATTERN = r"^[A-Za-z0-9._:\-]{1,64}$"
_IDENTIFIER = re.compile(IDENTIFIER_PATTERN.replace("$", r"\Z"))

TransactionId = Annotated[str, StringConstraints(pattern=IDENTIFIER_PATTERN)]
"""The client's own id of a transfer, unique per user."""
AccountId = Annotated[str, StringConstraints(pattern=IDENTIFIER_PATTERN)]
"""An account or a payee."""
UserId = Annotated[str, StringConstraints(min_length=1, max_length=128)]
"""The token's `sub`."""


def sound_identifier(text: str) -> str:
    """Return an id from outside as it is; raise ValueError with the rule that it breaks.

    What is stored already is read by the types above, which are wider: `.` and `..` cannot stand in
    a path, and card numbers must not come in.
    """
    if not _IDENTIFIER.match(text):
        raise ValueError("must be 1 to 64 of A-Z a-z 0-9 . _ : -")
    if not any(character.isalnum() for character in text):
        raise ValueError("must contain a letter or digit")
    return without_card_number(text)


def printable(text: str) -> str:
    """Return a text as it is; raise ValueError for what PostgreSQL or a terminal cannot take."""
    if not text.isprintable():
        raise ValueError("must be printable")
    return text


def without_card_number(text: str) -> str:
    """Return a text as it is; raise ValueError where it is or holds a card number."""
    if holds_card_number(text):
        raise ValueError("must not be a card number")
    return text


NewAccountId = Annotated[str, AfterValidator(sound_identifier)]
"""An account that is to be opened."""
Printable = Annotated[str, AfterValidator(printable)]
NewUserId = Annotated[UserId, AfterValidator(printable), AfterValidator(without_card_number)]
"""A user who becomes known to us by an operator's order."""

PAYMENT_NAMESPACE = uuid5(NAMESPACE_URL, "urn:countersign:payment")


def payment_id_of(user_id: UserId, transaction_id: TransactionId) -> PaymentId:
    """Return the payment's id: another user's equal transaction id is another payment."""
    return PaymentId(uuid5(uuid5(PAYMENT_NAMESPACE, user_id), transaction_id))


def event_id_of(cause: UUID, ce_type: str, discriminator: str = "") -> EventId:
    """Return the id of the event of type `ce_type` that `cause` brings about.

    The discriminator tells apart events of one type from one cause, or steps of one due row.
    """
    name = f"{ce_type}:{discriminator}" if discriminator else ce_type
    return EventId(uuid5(cause, name))
