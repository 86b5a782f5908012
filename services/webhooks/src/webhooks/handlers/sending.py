"""Due deliveries: what a call needs, the call, and what follows from it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from payment_schemas.events.webhooks import WebhookEndpointChanged
from payment_schemas.sealed import Sealed
from service_runtime import metrics
from service_runtime.clock import Clock
from service_runtime.keys import KeyRing
from service_runtime.messages import Batch, Cause, Due, Emit, Events
from service_runtime.sealing import Sealer
from webhooks.clients import Calls
from webhooks.domain.attempts import Attempt, Health, Status, after_attempt, after_attempts
from webhooks.domain.events import body_of
from webhooks.domain.signatures import Secret, headers_of
from webhooks.store import Deliveries, Ended, Endpoints, Shipment
from webhooks.store.deliveries import Row

SEALED_AT_ONCE = 100
_calls = metrics.counter("webhook_calls", "Calls of endpoints, by result.")
_failed = metrics.counter("webhook_deliveries_failed", "Deliveries that were given up.")
_delays = metrics.histogram(
    "webhook.delivery.delay",
    "Time from a payment's change to its successful delivery, of those that needed one call.",
)
DueRows = Batch[Due[Row], Attempt]


async def load(due: Sequence[Due[Row]], store: Deliveries) -> Mapping[UUID, Shipment]:
    """Return what the calls need, as it is now."""
    return await store.shipments([item.row for item in due])


@dataclass(frozen=True, slots=True)
class Sender:
    """Makes the call of one delivery."""

    calls: Calls
    sealer: Sealer
    clock: Clock

    async def __call__(self, due: Due[Row], shipment: Shipment | None) -> Attempt:
        """Return the result; a delivery whose endpoint was deleted meanwhile is not sent."""
        if shipment is None:
            return Attempt(0, None, "endpoint_deleted")
        message = due.row.message
        # A key that was removed too early parks the row: it is no fault of the endpoint.
        secrets = [self._opened(one, message.endpoint_id) for one in shipment.secrets]
        body = body_of(message, shipment.state)
        at_s = int(self.clock.now().timestamp())
        headers = headers_of(f"msg_{message.id.hex}", at_s, body, secrets)
        return await self.calls.post(shipment.url, headers, body)

    def _opened(self, sealed: Sealed, endpoint_id: UUID) -> Secret:
        return Secret(self.sealer.open(sealed, endpoint_id).reveal())


async def on_called(batch: DueRows, store: Deliveries, clock: Clock) -> Events:
    """Save each delivery's next state and each endpoint's health; tell what owners must know."""
    called = [_ended(item, batch, clock) for item in batch]
    owners = await store.lock_health(one.row.message.endpoint_id for one in called)
    saved = await store.save(called)
    ended = [one for one in called if one.row.message.id in saved]
    causes = {item.row.message.endpoint_id: item.cause for item in batch}
    after: dict[UUID, tuple[Health, str | None]] = {}
    events: list[Emit] = []
    for endpoint_id, (user_id, health) in owners.items():
        if not (mine := [one for one in ended if one.row.message.endpoint_id == endpoint_id]):
            continue
        new = after_attempts(health, [one.attempt for one in mine], batch.now)
        after[endpoint_id] = new, _last_error(mine)
        failed = sum(one.after.status is Status.FAILED for one in mine)
        changes = _changes(endpoint_id, user_id, (health, new), failed)
        events += [Emit(event, _of_change(causes[endpoint_id], event)) for event in changes]
    await store.save_health(after)
    _measure(ended, batch)
    return events


def _ended(item: Due[Row], batch: DueRows, clock: Clock) -> Ended:
    attempt = batch.lookups[item.cause.id]
    after = after_attempt(item.row.delivery, attempt, batch.now, clock.jitter())
    return Ended(item.row, item.epoch, after, attempt)


def _last_error(ended: Sequence[Ended]) -> str | None:
    return next((one.attempt.reason for one in reversed(ended) if one.attempt.reason), None)


def _changes(
    endpoint_id: UUID, user_id: str, health: tuple[Health, Health], failed: int
) -> list[WebhookEndpointChanged]:
    before, after = health
    about: dict[str, Any] = {"endpoint_id": endpoint_id, "user_id": user_id}
    changes = []
    if failed:
        changes.append(WebhookEndpointChanged(**about, change="deliveries_failed", failed=failed))
    if before.is_on and not after.is_on:
        reason = after.off_reason
        changes.append(WebhookEndpointChanged(**about, change="switched_off", reason=reason))
    return changes


def _of_change(cause: Cause, event: WebhookEndpointChanged) -> Cause:
    """Return a cause of its own for each change: two of one call are two events."""
    return Cause(cause.id, cause.trace, f"{cause.discriminator}/{event.change}")


def _measure(ended: Sequence[Ended], batch: DueRows) -> None:
    for one in ended:
        _calls.add(1, {"result": one.attempt.reason or "delivered"})
        if one.after.status is Status.FAILED:
            _failed.add(1)
        if one.after.status is Status.DELIVERED and one.after.tries == 1:
            waited = batch.now - one.row.message.occurred_at
            _delays.record(max(0.0, waited.total_seconds()))


async def seal_again(store: Endpoints, keys: KeyRing) -> int:
    """Seal secrets under the current key that are sealed under an older one; return how many."""
    sealer = Sealer(keys)
    found = await store.sealed_under_others(keys.current.id, SEALED_AT_ONCE)
    for row in found:
        secret = sealer.open(Sealed(row["sealed"]), row["endpoint_id"])
        await store.replace_sealed(row["id"], sealer.seal(secret.reveal(), row["endpoint_id"]))
    return len(found)
