"""What a client is sent of a payment. Pure."""

import json

from payment_schemas.events.confirmation import PaymentConfirmed


def news_of(event: PaymentConfirmed) -> str:
    """Return a payment as JSON, without accounts."""
    return json.dumps(
        {
            "transaction_id": event.transaction_id,
            "amount_minor": event.amount_minor,
            "currency": event.currency,
            "reference": event.reference,
        }
    )
