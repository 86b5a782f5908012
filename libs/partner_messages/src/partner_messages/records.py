"""Signed records: the headers of a message, and the check of a record that somebody else wrote."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from partner_messages.errors import Malformed
from partner_messages.keys import Keys, SigningKey
from partner_messages.signatures import HEADER, sign, verify
from payment_schemas.cloudevents import utc_time

Headers = tuple[tuple[str, bytes], ...]
SPEC = "ce_specversion"
_ATTRIBUTES = ("ce_id", "ce_type", "ce_source", "ce_time")
TRACE_HEADERS = ("traceparent", "tracestate")


@dataclass(frozen=True, slots=True)
class Attributes:
    """The CloudEvents attributes of a record (Kafka protocol binding 1.0.2, binary mode)."""

    id: UUID
    type: str
    source: str
    """`/countersign/settlement`, or `/partners/<partner>`."""
    time: datetime
    trace: tuple[tuple[str, str], ...] = ()
    """`traceparent` and `tracestate`, to continue the trace. They are not signed."""


def signed_headers(
    topic: str, value: bytes, attributes: Attributes, content_type: str, key: SigningKey
) -> Headers:
    """Return the headers of a record, with its signature."""
    event_id, time = str(attributes.id), attributes.time.isoformat()
    signature = sign(
        value, key=key, topic=topic, event_id=event_id, event_type=attributes.type, time=time
    )
    texts = {
        SPEC: "1.0",
        "ce_id": event_id,
        "ce_type": attributes.type,
        "ce_source": attributes.source,
        "ce_time": time,
        "content-type": content_type,
        HEADER: signature,
        **dict(attributes.trace),
    }
    return tuple((name, text.encode()) for name, text in texts.items())


def verified(
    topic: str,
    headers: Iterable[tuple[str, bytes | None]],
    value: bytes | None,
    keys: Keys,
    now: datetime,
) -> Attributes:
    """Return the attributes of a record that one of the keys has signed.

    Raises BadSignature, or Malformed naming the header. The signature is checked first: what
    nobody has signed is not parsed.
    """
    found = _texts(headers)
    verify(
        value or b"",
        found.get(HEADER, ""),
        keys=keys,
        now=now,
        topic=topic,
        event_id=found.get("ce_id", ""),
        event_type=found.get("ce_type", ""),
        time=found.get("ce_time", ""),
    )
    if value is None:
        raise Malformed("value", "missing")
    return _attributes(found)


def _texts(headers: Iterable[tuple[str, bytes | None]]) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, raw in headers:
        if name not in (SPEC, *_ATTRIBUTES, *TRACE_HEADERS, HEADER):
            continue
        if name in found:
            raise Malformed(name, "the header is there twice")
        try:
            found[name] = (raw or b"").decode()
        except UnicodeDecodeError:
            raise Malformed(name, "not UTF-8") from None
    return found


def _attributes(found: dict[str, str]) -> Attributes:
    if found.get(SPEC) != "1.0":
        raise Malformed(SPEC, "must be 1.0")
    for name in _ATTRIBUTES:
        if not found.get(name):
            raise Malformed(name, "missing")
    trace = tuple((name, found[name]) for name in TRACE_HEADERS if name in found)
    return Attributes(
        _id(found["ce_id"]), found["ce_type"], found["ce_source"], _time(found["ce_time"]), trace
    )


def _id(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise Malformed("ce_id", "not a UUID") from None


def _time(text: str) -> datetime:
    try:
        return utc_time(text)
    except ValueError as broken:
        raise Malformed("ce_time", str(broken)) from None
