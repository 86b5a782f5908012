"""A change of a payment becomes one delivery for each endpoint of its owner that asks for it."""

from payment_schemas.events.confirmation import PaymentStatusChanged
from service_runtime.messages import Batch, Events, Received
from webhooks.domain.attempts import RETRY_WITHIN
from webhooks.domain.events import State, event_type_of, message_of, state_of
from webhooks.store import Deliveries


async def on_status_changed(
    batch: Batch[Received[PaymentStatusChanged]], store: Deliveries
) -> Events:
    """Keep what is known of each payment, and add the deliveries."""
    latest: dict[object, State] = {}
    for item in batch:
        state = state_of(item.event)
        known = latest.setdefault(state.payment_id, state)
        if state.sequence > known.sequence:
            latest[state.payment_id] = state
    endpoints = await store.endpoints_of(item.event.user_id for item in batch)
    messages = [
        (message_of(endpoint_id, item.event, event), item.cause.trace)
        for item in batch
        if (event := event_type_of(item.event)) is not None
        for endpoint_id, wanted in endpoints.get(item.event.user_id, ())
        if event in wanted
    ]
    await store.know(latest.values())
    if messages:
        await store.add(messages, batch.now + RETRY_WITHIN)
    return ()
