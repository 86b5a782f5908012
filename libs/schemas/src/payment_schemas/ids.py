"""Identifiers as types, and how the derived ones are derived.

An id that follows from another is a UUIDv5 of it, so that a second run of one cause makes the
same id and every reader's inbox recognises it.
"""

from typing import Annotated, NewType
from uuid import NAMESPACE_URL, UUID, uuid5

from pydantic import StringConstraints

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

TransactionId = Annotated[str, StringConstraints(pattern=IDENTIFIER_PATTERN)]
"""The client's own id of a transfer, unique per user."""
AccountId = Annotated[str, StringConstraints(pattern=IDENTIFIER_PATTERN)]
"""An account or a payee."""
UserId = Annotated[str, StringConstraints(min_length=1, max_length=128)]
"""The token's `sub`."""

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
