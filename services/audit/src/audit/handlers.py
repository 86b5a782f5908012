"""Every event becomes one entry of the log."""

from audit.domain import Origin, entry_of
from audit.store import AuditLog
from payment_schemas.events.base import Event
from service_runtime.messages import Batch, Events, Received


async def on_event(batch: Batch[Received[Event]], log: AuditLog) -> Events:
    """Write down what happened, all of the batch at once."""
    await log.append([entry_of(item.event, _origin_of(item)) for item in batch])
    return ()


def _origin_of(item: Received[Event]) -> Origin:
    record = item.record
    return Origin(item.cause.id, item.time, record.topic, record.partition, record.offset)
