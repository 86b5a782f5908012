"""What confirm says of payments becomes the activity that features are made of."""

from collections.abc import Mapping
from decimal import Decimal

from fraud.store import Activity, Paid
from payment_schemas.currencies import UnknownRateError, usd_minor_of
from payment_schemas.events.confirmation import PaymentConfirmed
from service_runtime.errors import Rejected
from service_runtime.messages import Batch, Events, Received


async def on_payment_confirmed(
    batch: Batch[Received[PaymentConfirmed]], store: Activity, rates: Mapping[str, Decimal]
) -> Events:
    """Count confirmed payments, each once. Raises Rejected for a currency without a rate."""
    paid = {item.event.payment_id: _paid(item.event, rates) for item in batch}
    await store.pay(list(paid.values()))
    return ()


def _paid(event: PaymentConfirmed, rates: Mapping[str, Decimal]) -> Paid:
    try:
        usd_minor = usd_minor_of(event.amount_minor, event.currency, rates)
    except UnknownRateError as error:
        raise Rejected(str(error)) from None
    return Paid(
        event.payment_id,
        event.user_id,
        event.transaction_id,
        event.to_account,
        event.context.device_fingerprint,
        usd_minor,
        event.confirmed_at,
    )
