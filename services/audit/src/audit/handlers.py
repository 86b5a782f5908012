"""The handler that appends each event to the audit log."""

from audit.domain import Origin, entry_of
from audit.store import AuditLog
from payment_schemas.events.base import Event
from service_runtime.messages import Batch, Events, Received


async def on_event(batch: Batch[Received[Event]], log: AuditLog) -> Events:
    """Append one entry per event, with one statement for the batch."""
    await log.append([entry_of(item.event, _origin_of(item)) for item in batch])
    return ()


def _origin_of(item: Received[Event]) -> Origin:
    record = item.record
    return Origin(item.cause.id, item.time, record.topic, record.partition, record.offset)
