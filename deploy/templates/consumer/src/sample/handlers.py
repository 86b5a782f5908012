"""What sample does with events."""

from payment_schemas.events.confirmation import PaymentConfirmed
from sample.domain import entry_of, is_recorded, recorded
from sample.store import Entries
from service_runtime.messages import Batch, Emit, Events, Received


async def on_payment_confirmed(
    batch: Batch[Received[PaymentConfirmed]], store: Entries, least_minor: int
) -> Events:
    """Record each payment once, and emit an event for each that is new."""
    first = {
        item.event.payment_id: item
        for item in reversed(batch.items)
        if is_recorded(item.event, least_minor)
    }
    new = await store.add([entry_of(item.event) for item in first.values()])
    return [Emit(recorded(first[each].event), first[each].cause) for each in first if each in new]
