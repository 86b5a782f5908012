"""CloudEvents 1.0 in Kafka binary mode: attributes as `ce_` headers, the data as the value.

Source: CloudEvents Kafka protocol binding 1.0.2, section 3.2.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from uuid import UUID

from pydantic import ValidationError

from payment_schemas.events.base import Event
from payment_schemas.ids import EventId
from payment_schemas.registry import BY_TYPE

Headers = tuple[tuple[str, bytes | None], ...]
TRACE_HEADERS = ("traceparent", "tracestate")


class MalformedRecordError(ValueError):
    """The record is no known event. `reason` is a stable word for metrics, without payload."""

    def __init__(self, reason: str, details: str) -> None:
        super().__init__(details)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Attributes:
    """The CloudEvents attributes of one record."""

    id: EventId
    time: datetime
    trace: tuple[tuple[str, str], ...] = ()
    """`traceparent` and `tracestate` of the record, to continue the trace."""


def headers_of(event: Event, attributes: Attributes, source: str) -> Headers:
    """Return the headers of an event that `source` (a service) publishes."""
    return (
        *_fixed_headers(event.ce_type, source),
        ("ce_id", str(attributes.id).encode()),
        ("ce_time", attributes.time.isoformat().encode()),
        ("ce_subject", event.subject.encode()),
        *[(name, value.encode()) for name, value in attributes.trace],
    )


@cache
def _fixed_headers(ce_type: str, source: str) -> Headers:
    return (
        ("ce_specversion", b"1.0"),
        ("ce_type", ce_type.encode()),
        ("ce_source", f"/countersign/{source}".encode()),
        ("content-type", b"application/json"),
    )


def read_attributes(headers: Iterable[tuple[str, bytes | None]]) -> tuple[str, Attributes]:
    """Return `ce_type` and the attributes; raise MalformedRecordError naming the header."""
    found = _text_headers(headers)
    _require(found, "ce_specversion", "ce_id", "ce_type", "ce_time")
    if found["ce_specversion"] != "1.0":
        raise MalformedRecordError("header", "ce_specversion: must be 1.0")
    trace = tuple((name, found[name]) for name in TRACE_HEADERS if name in found)
    return found["ce_type"], Attributes(_event_id(found["ce_id"]), _time(found["ce_time"]), trace)


def read_event(ce_type: str, topic: str, value: bytes | None) -> Event:
    """Return the event behind a record's value; raise MalformedRecordError naming the field."""
    event_class = BY_TYPE.get(ce_type)
    if event_class is None or event_class.topic != topic:
        raise MalformedRecordError("type", f"ce_type: not known on {topic}")
    if value is None:
        raise MalformedRecordError("schema", "value: missing")
    try:
        return event_class.model_validate_json(value)
    except ValidationError as error:
        raise MalformedRecordError("schema", _fields(error)) from None


def _text_headers(headers: Iterable[tuple[str, bytes | None]]) -> dict[str, str]:
    found = {}
    for name, value in headers:
        if not (name.startswith("ce_") or name in TRACE_HEADERS):
            continue
        try:
            found[name] = (value or b"").decode("utf-8")
        except UnicodeDecodeError:
            raise MalformedRecordError("header", f"{name}: not UTF-8") from None
    return found


def _require(found: dict[str, str], *names: str) -> None:
    for name in names:
        if not found.get(name):
            raise MalformedRecordError("header", f"{name}: missing")


def _event_id(text: str) -> EventId:
    try:
        return EventId(UUID(text))
    except ValueError:
        raise MalformedRecordError("header", "ce_id: not a UUID") from None


def _time(text: str) -> datetime:
    try:
        return utc_time(text)
    except ValueError as broken:
        raise MalformedRecordError("header", f"ce_time: {broken}") from None


def utc_time(text: str) -> datetime:
    """Return a time of RFC 3339 in UTC; raise ValueError with the broken rule."""
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError("not RFC 3339") from None
    if time.tzinfo is None:
        raise ValueError("without a time zone")
    try:
        return time.astimezone(UTC)
    except OverflowError:
        # The first and the last day that there are, in a zone that moves them out of range.
        raise ValueError("out of range") from None


def _fields(error: ValidationError) -> str:
    """Return the fields and their broken rules; never the values, which may be personal."""
    faults = error.errors(include_url=False, include_context=False, include_input=False)
    return "; ".join(
        f"{'.'.join(str(part) for part in fault['loc']) or 'value'}: {fault['type']}"
        for fault in faults[:5]
    )
