"""Identifiers as types, and how the derived ones are derived.

An id that follows from another is a UUIDv5 of it, so that a repeated cause makes the same id again
and a reader can detect the duplicate.
"""

import re
from typing import Annotated, NewType
from uuid import NAMESPACE_URL, UUID, uuid5

from pydantic import AfterValidator, StringConstraints

from payment_schemas.card_numbers import holds_card_number

PaymentId = NewType("PaymentId", UUID)
"""Derived from user and transaction, see `payment_id_of`."""
RequestId = NewType("RequestId", UUID)
"""One HTTP request at the gateway; replies are matched by it, never by transaction."""
ChallengeId = NewType("ChallengeId", UUID)
"""One one-time code."""
Uetr = NewType("Uetr", UUID)
"""Unique end-to-end transaction reference of a transfer (ISO 20022), a constant UUIDv4."""
EventId = NewType("EventId", UUID)
"""`ce_id` of a record."""
DeliveryId = NewType("DeliveryId", UUID)
"""One message to one customer on one channel."""

IDENTIFIER_PATTERN = r"^[A-Za-z0-9._:\-]{1,64}$"
_IDENTIFIER = re.compile(IDENTIFIER_PATTERN.replace("$", r"\Z"))
_LETTER_OR_DIGIT = re.compile("[A-Za-z0-9]")

TransactionId = Annotated[str, StringConstraints(pattern=IDENTIFIER_PATTERN)]
"""The client's own id of a transfer, unique per user."""
AccountId = Annotated[str, StringConstraints(pattern=IDENTIFIER_PATTERN)]
"""An account or a payee."""
UserId = Annotated[str, StringConstraints(min_length=1, max_length=128)]
"""The token's `sub`."""


def sound_identifier(text: str) -> str:
    """Return a client's id unchanged; raise ValueError with the rule that it breaks.

    Stored ids are read by the wider types above. In new ids, `.` and `..` are refused because they
    cannot be part of a URL's path, and card numbers because ids are logged.
    """
    if not _IDENTIFIER.match(text):
        raise ValueError("must be 1 to 64 of A-Z a-z 0-9 . _ : -")
    if not _LETTER_OR_DIGIT.search(text):
        raise ValueError("must contain a letter or digit")
    return without_card_number(text)


def printable(text: str) -> str:
    """Return a text unchanged; raise ValueError where PostgreSQL or a terminal cannot take it."""
    if not text.isprintable():
        raise ValueError("must be printable")
    return text


def without_card_number(text: str) -> str:
    """Return a text unchanged; raise ValueError where it is or contains a card number."""
    if holds_card_number(text):
        raise ValueError("must not be a card number")
    return text


NewAccountId = Annotated[str, AfterValidator(sound_identifier)]
"""An account to open."""
Printable = Annotated[str, AfterValidator(printable)]
NewUserId = Annotated[UserId, AfterValidator(printable), AfterValidator(without_card_number)]
"""A user whom an operator adds."""

PAYMENT_NAMESPACE = uuid5(NAMESPACE_URL, "urn:countersign:payment")


def payment_id_of(user_id: UserId, transaction_id: TransactionId) -> PaymentId:
    """Return the payment's id: another user's equal transaction id is another payment."""
    return PaymentId(uuid5(uuid5(PAYMENT_NAMESPACE, user_id), transaction_id))


def event_id_of(cause: UUID, ce_type: str, discriminator: str = "") -> EventId:
    """Return the id of the event of type `ce_type` that `cause` produces.

    The discriminator separates events of one type from one cause: a version, a step of a due row.
    """
    name = f"{ce_type}:{discriminator}" if discriminator else ce_type
    return EventId(uuid5(cause, name))
