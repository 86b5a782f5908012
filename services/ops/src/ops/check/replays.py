"""I7: all final responses of one key equal the stored one, byte for byte.

Read from the topics of requests and replies; replies are kept for 15 minutes and name only their
request.
"""

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

from aiokafka import TopicPartition

from ops.clients.system import System
from ops.clients.topics import Span, partitions_of, reader, records_in, run_query, spans_of
from ops.domain.findings import Findings, Violation
from payment_schemas.events.confirmation import ConfirmAnswered, ConfirmRequested
from service_runtime.brokers import Brokers

MOST_ANSWERS = 3000
"""The newest replies of each of 32 partitions: about 100,000."""
MOST_REQUESTS = 50_000
"""The newest requests of each partition."""
KEYS_AT_ONCE = 500
READ_WITHIN_S = 120.0
REPLAYED = ["Idempotent-Replayed", "true"]

Key = tuple[str, str]
"""User and idempotency key."""


class Replays:
    """Final responses by key, published and stored."""

    def __init__(self, system: System) -> None:
        self._system = system

    def whole(self, findings: Findings) -> None:
        """Compare all final responses in the topic."""
        published = self._published()
        findings.checked["I7"] += len(published)
        keys = list(published)
        for start in range(0, len(keys), KEYS_AT_ONCE):
            asked = keys[start : start + KEYS_AT_ONCE]
            stored = self._stored(asked)
            for key in asked:
                for details in differences(published[key], stored.get(key)):
                    findings.add(Violation("I7", " ".join(key), details))

    def _stored(self, keys: list[Key]) -> Mapping[Key, str]:
        asked = [{"user_id": user, "idempotency_key": key} for user, key in keys]
        rows = self._system.post("confirm", "/admin/answers", {"keys": asked})["answers"]
        return {(row["user_id"], row["idempotency_key"]): row["body"] for row in rows}

    def _published(self) -> Mapping[Key, set[str]]:
        """Return final responses' bodies by key; requests are read last, so none is missing."""
        bodies: dict[str, set[str]] = defaultdict(set)
        for answer in self._newest(ConfirmAnswered.topic, MOST_ANSWERS):
            if is_final(answer):
                bodies[answer["request_id"]].add(answer["body"])
        published: dict[Key, set[str]] = defaultdict(set)
        for request in self._newest(ConfirmRequested.topic, MOST_REQUESTS):
            if found := bodies.get(request["request_id"]):
                published[request["user_id"], request["idempotency_key"]] |= found
        return published

    def _newest(self, topic: str, most: int) -> list[dict[str, Any]]:
        brokers = self._system.addresses.brokers()
        return run_query(_newest(brokers, topic, most), brokers, READ_WITHIN_S)


async def _newest(brokers: Brokers, topic: str, most: int) -> list[dict[str, Any]]:
    partitions = await partitions_of(brokers, lambda name: name == topic)
    found: list[dict[str, Any]] = []
    async with reader(brokers) as consumer:
        present = await spans_of(consumer, partitions)
        spans: dict[TopicPartition, Span] = {
            one: (max(begin, end - most), end) for one, (begin, end) in present.items()
        }
        async for records in records_in(consumer, spans):
            found += (body for record in records for body in _object_in(record.value))
    return found


def _object_in(value: bytes | None) -> Iterator[dict[str, Any]]:
    """Yield a record's object; nothing for a foreign record, which becomes a dead letter."""
    try:
        read = json.loads(value or b"")
    except (ValueError, RecursionError):
        return
    if isinstance(read, dict) and "request_id" in read:
        yield {"user_id": "", "idempotency_key": "", "status": 0, "body": "", "headers": []} | read


def is_final(answer: Mapping[str, Any]) -> bool:
    """Say whether a response is the final one of its key.

    A replay may have another status (REPLAY_STATUS) and is marked.
    """
    is_replay = REPLAYED in answer["headers"]
    body = answer["body"]
    return is_replay or (
        answer["status"] in (200, 403)
        and ('"status":"SUCCESS"' in body or '"status":"DECLINED"' in body)
    )


def differences(published: set[str], stored: str | None) -> Iterator[str]:
    """Describe how the final responses of one key differ."""
    if len(published) > 1:
        yield f"{len(published)} different final responses were published"
    if stored is None:
        yield "a final response was published, and none is stored"
    elif published != {stored}:
        yield "the published final response is not the stored one"
