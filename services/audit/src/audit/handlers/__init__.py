"""The handler that appends each event to the audit log."""

from collections.abc import Set as AbstractSet
from typing import Any
from uuid import UUID

import orjson

from audit.domain import Origin, RawEvent, entry_of, is_raw
from audit.domain.sealing import steps
from audit.store import AuditLog
from payment_schemas.cloudevents import MalformedRecordError, read_event
from payment_schemas.events.base import Event
from payment_schemas.registry import BY_TYPE
from service_runtime.messages import Batch, Events, Received, Record

MOST_BYTES = 64 * 1024
"""No event comes near; a larger value is a dead letter."""
_NUL = b"\\u0000"
"""PostgreSQL's JSON takes no such character."""


def read_record(ce_type: str, record: Record) -> Event | RawEvent:
    """Return an event as its record's bytes, or validated where it may not be stored so.

    Raises MalformedRecordError where the value is no JSON object about the payment in the key: a
    value that passes can be decoded by whoever reads the log. A field that this version does not
    know may be sealed in a later one: without it, the event is stored as columns.
    """
    kind = BY_TYPE.get(ce_type)
    if kind is None or kind.topic != record.topic or not is_raw(kind):
        return read_event(ce_type, record.topic, record.value)
    value = record.value or b""
    if len(value) > MOST_BYTES or _NUL in value:
        raise MalformedRecordError("schema", "value: too large, or with a NUL character")
    payment_id, fields = _about(record.key, value)
    if not fields <= kind.model_fields.keys():
        return read_event(ce_type, record.topic, value)
    return RawEvent(kind, payment_id, value)


def _about(key: bytes | None, value: bytes) -> tuple[UUID, AbstractSet[str]]:
    """Return the payment of a record and the fields of its value."""
    try:
        payment_id, body = UUID((key or b"").decode()), orjson.loads(value)
        if body["payment_id"] == str(payment_id):
            return payment_id, body.keys()
    except (ValueError, TypeError, KeyError):
        pass
    raise MalformedRecordError("schema", "value: not about the payment in the record's key")


async def on_events(batch: Batch[Received[Any]], log: AuditLog) -> Events:
    """Append one entry an event, with one statement for each way of storing."""
    by_step: dict[int, list[Received[Any]]] = {}
    for step, item in zip(steps(map(_form_of, batch)), batch, strict=True):
        by_step.setdefault(step, []).append(item)
    for _, items in sorted(by_step.items()):
        if isinstance(items[0].event, RawEvent):
            await log.append_raw([(item.event, _origin_of(item)) for item in items])
        else:
            await log.append([entry_of(item.event, _origin_of(item)) for item in items])
    return ()


def _form_of(item: Received[Any]) -> tuple[tuple[str, int], bool]:
    record = item.record
    return (record.topic, record.partition), isinstance(item.event, RawEvent)


def _origin_of(item: Received[Any]) -> Origin:
    record = item.record
    return Origin(item.cause.id, item.time, record.topic, record.partition, record.offset)
