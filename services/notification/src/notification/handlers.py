"""Handlers of notification's events and due deliveries."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

from notification.clients import Messenger
from notification.domain import (
    Attempt,
    Delivery,
    Kind,
    Message,
    Outcome,
    Policy,
    Surroundings,
    after_attempt,
    code_delivery,
    held_back,
    is_over,
    message_of,
    outcome_delivery,
)
from notification.store import Deliveries, NewDelivery
from payment_schemas.events.otp import Challenged, Verified
from service_runtime import metrics
from service_runtime.errors import Rejected
from service_runtime.messages import Batch, Due, Emit, Events, Received
from service_runtime.sealing import Sealer

_ended = metrics.counter("notification", "Deliveries that have ended, by channel and result.")

Outcomes = Batch[Received[Outcome]]
DueDeliveries = Batch[Due[Delivery], Attempt]


async def on_challenged(batch: Batch[Received[Challenged]], deliveries: Deliveries) -> Events:
    """Add a text message with the sealed code, due immediately."""
    new = [
        NewDelivery(code_delivery(item.event, item.cause.id, batch.now), item.cause.trace)
        for item in batch
    ]
    await deliveries.add(new)
    return ()


async def on_outcome(batch: Outcomes, deliveries: Deliveries) -> Events:
    """Add an e-mail about each outcome, due immediately."""
    drafts = [
        (outcome_delivery(item.event, item.cause.id, batch.now), item.cause.trace) for item in batch
    ]
    await deliveries.add([NewDelivery(delivery, trace) for delivery, trace in drafts if delivery])
    return ()


async def on_verified(batch: Batch[Received[Verified]], deliveries: Deliveries) -> Events:
    """Store the challenges that have ended, so that their codes are not sent."""
    over = {item.event.challenge_id for item in batch if item.event.challenge_over}
    await deliveries.end_challenges(over)
    return ()


async def surroundings_of(due: Sequence[Delivery], deliveries: Deliveries) -> Surroundings:
    """Return the facts that decide whether and to whom messages are sent."""
    challenges = {one.challenge_id for one in due if one.challenge_id is not None}
    return Surroundings(
        await deliveries.contacts(one.user_id for one in due),
        await deliveries.siblings({one.payment_id for one in due if one.payment_id is not None}),
        await deliveries.ended_challenges(challenges),
        await deliveries.former_addresses(due),
    )


@dataclass(frozen=True, slots=True)
class Sender:
    """Sends the due messages of one channel, between claim and save."""

    messenger: Messenger
    load: Callable[[Sequence[Delivery]], Awaitable[Surroundings]]
    """Loads the surroundings of the messages, after the claim."""
    sealer: Sealer

    async def __call__(self, batch: DueDeliveries) -> Mapping[UUID, Attempt]:
        """Try each delivery once; a failure affects no other delivery."""
        due = [item.row for item in batch]
        surroundings = await self.load(due)
        prepared = {delivery.id: self._prepare(delivery, surroundings, batch) for delivery in due}
        messages = [one for one in prepared.values() if isinstance(one, Message)]
        untried = {name: one for name, one in prepared.items() if isinstance(one, Attempt)}
        tried = await self.messenger.deliver(messages)
        return {delivery.id: tried.get(delivery.id) or untried[delivery.id] for delivery in due}

    def _prepare(
        self, delivery: Delivery, surroundings: Surroundings, batch: Batch[Due[Delivery], Any]
    ) -> Message | Attempt:
        if is_over(delivery, batch.now):
            return Attempt(Kind.TOO_LATE, delivery.reason)
        in_slice = {item.row.id for item in batch}
        if held := held_back(delivery, surroundings, in_slice, batch.now):
            return held
        contact = surroundings.contacts.get(delivery.user_id)
        if contact is None:
            return Attempt(Kind.REFUSED, "no_contact")
        if contact.trouble is not None:
            # A key that is missing may be restored; who was erased gets no message again.
            is_final = contact.trouble == "erased"
            return Attempt(Kind.REFUSED if is_final else Kind.NOT_TAKEN, contact.trouble)
        if delivery.template == "contact_changed":
            if delivery.id not in surroundings.former:
                return Attempt(Kind.NOT_TAKEN, "subject_key_lost")
            delivery = replace(delivery, former_address=surroundings.former[delivery.id])
        if delivery.sealed_code is None or delivery.payment_id is None:
            return message_of(delivery, contact, None)
        if contact.is_paused:
            return Attempt(Kind.REFUSED, "codes_paused")
        try:
            code = self.sealer.open(delivery.sealed_code, delivery.payment_id)
        except Rejected:
            return Attempt(Kind.REFUSED, "unreadable_code")
        return message_of(delivery, contact, code)


async def on_due_deliveries(batch: DueDeliveries, deliveries: Deliveries, policy: Policy) -> Events:
    """Save the deliveries' next states, and emit an event for each end."""
    events: list[Emit] = []
    changed: list[Delivery] = []
    for item in batch:
        decision = after_attempt(item.row, batch.lookups[item.cause.id], batch.now, policy)
        changed.append(decision.state)
        events.extend(Emit(event, item.cause) for event in decision.events)
        if decision.events:
            state = decision.state
            _ended.add(1, {"channel": state.channel, "result": state.status.lower()})
    await deliveries.save(changed)
    return events
