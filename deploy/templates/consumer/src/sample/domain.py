"""What is recorded of a payment. Pure."""

from dataclasses import dataclass
from datetime import datetime

from payment_schemas.events.sample import SampleServiceRecorded

from payment_schemas.events.confirmation import PaymentConfirmed
from payment_schemas.ids import PaymentId


@dataclass(frozen=True, slots=True)
class Entry:
    """A confirmed payment, as far as sample records it."""

    payment_id: PaymentId
    user_id: str
    amount_minor: int
    currency: str
    confirmed_at: datetime


def is_recorded(event: PaymentConfirmed, least_minor: int) -> bool:
    """Whether a payment is large enough to be recorded."""
    return event.amount_minor >= least_minor


def entry_of(event: PaymentConfirmed) -> Entry:
    """Return the entry of a payment."""
    return Entry(
        event.payment_id, event.user_id, event.amount_minor, event.currency, event.confirmed_at
    )


def recorded(event: PaymentConfirmed) -> SampleServiceRecorded:
    """Return the event that follows a recorded payment."""
    return SampleServiceRecorded(
        payment_id=event.payment_id,
        user_id=event.user_id,
        transaction_id=event.transaction_id,
        amount_minor=event.amount_minor,
        currency=event.currency,
    )
