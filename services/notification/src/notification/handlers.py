"""What notification does with events, and with messages whose time has come."""

from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from notification.clients import Messenger
from notification.domain import (
    Attempt,
    Contact,
    Delivery,
    Kind,
    Message,
    Outcome,
    Policy,
    after_attempt,
    code_delivery,
    is_over,
    message_of,
    outcome_delivery,
)
from notification.store import Deliveries, New
from payment_schemas.events.otp import Challenged
from service_runtime import metrics
from service_runtime.errors import Rejected
from service_runtime.messages import Batch, Due, Emit, Events, Received
from service_runtime.sealing import Sealer

_ended = metrics.counter("notification", "Messages that were delivered, refused or expired.")

Outcomes = Batch[Received[Outcome]]
DueDeliveries = Batch[Due[Delivery], Attempt]


async def on_challenged(batch: Batch[Received[Challenged]], deliveries: Deliveries) -> Events:
    """Keep a text message with the code, still sealed, due at once."""
    new = [
        New(code_delivery(item.event, item.cause.id, batch.now), item.cause.trace) for item in batch
    ]
    await deliveries.add(new)
    return ()


async def on_outcome(batch: Outcomes, deliveries: Deliveries) -> Events:
    """Keep a mail about each payment that was confirmed, declined or returned, due at once."""
    found = [
        (outcome_delivery(item.event, item.cause.id, batch.now), item.cause.trace) for item in batch
    ]
    await deliveries.add([New(delivery, trace) for delivery, trace in found if delivery])
    return ()


@dataclass(frozen=True, slots=True)
class Sender:
    """Delivers what is due on one channel, between claim and write-back."""

    messenger: Messenger
    contacts: Callable[[Iterable[str]], AbstractAsyncContextManager[Mapping[str, Contact]]]
    sealer: Sealer

    async def __call__(self, batch: DueDeliveries) -> Mapping[UUID, Attempt]:
        """Try each delivery once; one that cannot be tried stops no other."""
        due = [item.row for item in batch]
        async with self.contacts(delivery.user_id for delivery in due) as contacts:
            prepared = {delivery.id: self._prepare(delivery, contacts, batch) for delivery in due}
        messages = [one for one in prepared.values() if isinstance(one, Message)]
        untried = {name: one for name, one in prepared.items() if isinstance(one, Attempt)}
        tried = await self.messenger.deliver(messages)
        return {delivery.id: tried.get(delivery.id) or untried[delivery.id] for delivery in due}

    def _prepare(
        self, delivery: Delivery, contacts: Mapping[str, Contact], batch: Batch[Any, Any]
    ) -> Message | Attempt:
        if is_over(delivery, batch.now):
            return Attempt(Kind.TOO_LATE, delivery.reason)
        contact = contacts.get(delivery.user_id)
        if contact is None:
            return Attempt(Kind.REFUSED, "no_contact")
        if delivery.sealed_code is None:
            return message_of(delivery, contact, None)
        try:
            code = self.sealer.open(delivery.sealed_code, delivery.payment_id)
        except Rejected:
            return Attempt(Kind.REFUSED, "unreadable_code")
        return message_of(delivery, contact, code)


async def on_due_deliveries(batch: DueDeliveries, deliveries: Deliveries, policy: Policy) -> Events:
    """Decide what the attempts make of the deliveries, and tell of each end."""
    events: list[Emit] = []
    changed: list[Delivery] = []
    for item in batch:
        decision = after_attempt(item.row, batch.found[item.cause.id], batch.now, policy)
        changed.append(decision.state)
        events.extend(Emit(event, item.cause) for event in decision.events)
        for event in decision.events:
            _ended.add(1, {"channel": event.channel, "result": event.result})
    await deliveries.save(changed)
    return events
