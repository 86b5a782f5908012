"""Message authentication: a record that moves money proves that its emitter wrote it.

Write access to a topic is not enough: the emitter and the acting reader share a key that no other
process has. The header `mac` holds a key's id and the HMAC-SHA256 (RFC 2104) over topic, id, type,
subject, time and the value's bytes.
"""

import hmac
import struct
from collections.abc import Iterable

from payment_schemas.cloudevents import Headers, MalformedRecordError
from payment_schemas.events.base import Event
from service_runtime.keys import Key, KeyRing
from service_runtime.messages import ProducerRecord

HEADER = "mac"
REASON = "unauthenticated"
"""The reason of dead letters without a valid MAC."""
_lengths = struct.Struct(">6I").pack
"""Ahead of the parts, so that no two different records have the same bytes."""


class MessageMacs:
    """The key rings of a service, by the events that it emits or acts on."""

    def __init__(self) -> None:
        self._rings: dict[str, KeyRing] = {}

    def add(self, ring: KeyRing, events: Iterable[type[Event]]) -> None:
        """Authenticate these events under the ring."""
        self._rings |= dict.fromkeys((event.topic for event in events), ring)

    def require(
        self, service: str, reads: Iterable[type[Event]], emits: Iterable[type[Event]]
    ) -> None:
        """Raise RuntimeError where an event that needs a MAC has no keys."""
        acted_on = [event for event in reads if event.acting_reader == service]
        for event in (*acted_on, *(event for event in emits if event.acting_reader)):
            if event.topic not in self._rings:
                raise RuntimeError(f"{service}: {event.topic} needs the key of its MAC")

    def signed(self, record: ProducerRecord) -> ProducerRecord:
        """Return the record with its MAC; unchanged where its topic has none."""
        ring = self._rings.get(record.topic)
        if ring is None:
            return record
        mac = _mac(ring.current, record.topic, record.headers, record.value)
        headers = (*record.headers, (HEADER, mac))
        return ProducerRecord(record.topic, record.key, record.value, headers, record.partition)

    def verify(self, topic: str, headers: Headers, value: bytes | None) -> None:
        """Raise MalformedRecordError where the service acts on the topic and the MAC is wrong."""
        ring = self._rings.get(topic)
        if ring is None:
            return
        found = [raw or b"" for name, raw in headers if name == HEADER]
        if len(found) != 1:
            raise MalformedRecordError(REASON, f"{HEADER}: must be there once")
        key = ring.find(found[0].partition(b".")[0].decode("latin-1"))
        if key is None or not hmac.compare_digest(_mac(key, topic, headers, value), found[0]):
            raise MalformedRecordError(REASON, f"{HEADER}: not valid")


def _mac(key: Key, topic: str, headers: Headers, value: bytes | None) -> bytes:
    """Return a record's MAC. The last header of a name counts, as for its reader."""
    found = dict(headers).get
    parts = (
        topic.encode(),
        found("ce_id") or b"",
        found("ce_type") or b"",
        found("ce_subject") or b"",
        found("ce_time") or b"",
        value or b"",
    )
    message = _lengths(*map(len, parts)) + b"".join(parts)
    # One call into OpenSSL: a third of the time of the incremental interface.
    return f"{key.id}.{hmac.digest(key.material, message, 'sha256').hex()}".encode()
