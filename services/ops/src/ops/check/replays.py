"""I7: all final answers to one key are the same, byte for byte, and the one that is stored.

Read from the topics of requests and answers, for as long as these hold answers (a quarter of an
hour); the answers themselves name only the request.
"""

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

from aiokafka import TopicPartition

from ops.clients.system import System
from ops.clients.topics import Span, answered, partitions_of, reader, records_in, spans_of
from ops.domain.findings import Findings, Violation
from payment_schemas.events.confirmation import ConfirmAnswered, ConfirmRequested

MOST_ANSWERS = 3000
"""Newest ones of each of 32 partitions: some 100,000."""
MOST_REQUESTS = 50_000
"""Newest ones of each partition."""
KEYS_AT_ONCE = 500
READ_WITHIN_S = 120.0
REPLAYED = ["Idempotent-Replayed", "true"]

Key = tuple[str, str]
"""User and idempotency key."""


class Replays:
    """Final answers by key, as they were told and as they are stored."""

    def __init__(self, system: System) -> None:
        self._system = system

    def whole(self, findings: Findings) -> None:
        """Compare all final answers that the topic still holds."""
        told = self._told()
        findings.checked["I7"] += len(told)
        keys = list(told)
        for start in range(0, len(keys), KEYS_AT_ONCE):
            asked = keys[start : start + KEYS_AT_ONCE]
            stored = self._stored(asked)
            for key in asked:
                for details in differences(told[key], stored.get(key)):
                    findings.add(Violation("I7", " ".join(key), details))

    def _stored(self, keys: list[Key]) -> Mapping[Key, str]:
        asked = [{"user_id": user, "idempotency_key": key} for user, key in keys]
        rows = self._system.post("confirm", "/admin/answers", {"keys": asked})["answers"]
        return {(row["user_id"], row["idempotency_key"]): row["body"] for row in rows}

    def _told(self) -> Mapping[Key, set[str]]:
        """Return the bodies of final answers by key; requests last, so that none is too young."""
        bodies: dict[str, set[str]] = defaultdict(set)
        for answer in self._newest(ConfirmAnswered.topic, MOST_ANSWERS):
            if is_final(answer):
                bodies[answer["request_id"]].add(answer["body"])
        told: dict[Key, set[str]] = defaultdict(set)
        for request in self._newest(ConfirmRequested.topic, MOST_REQUESTS):
            if found := bodies.get(request["request_id"]):
                told[request["user_id"], request["idempotency_key"]] |= found
        return told

    def _newest(self, topic: str, most: int) -> list[dict[str, Any]]:
        brokers = self._system.addresses.brokers()
        return answered(_newest(brokers, topic, most), brokers, READ_WITHIN_S)


async def _newest(brokers: str, topic: str, most: int) -> list[dict[str, Any]]:
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
    """Yield what a record says; nothing where it is none of ours (its reader sets it aside)."""
    try:
        read = json.loads(value or b"")
    except ValueError:
        return
    if isinstance(read, dict) and "request_id" in read:
        yield {"user_id": "", "idempotency_key": "", "status": 0, "body": "", "headers": []} | read


def is_final(answer: Mapping[str, Any]) -> bool:
    """Say whether an answer is one that its key keeps for ever.

    A repeat may have another status (REPLAY_STATUS), and says that it is one.
    """
    is_replay = REPLAYED in answer["headers"]
    body = answer["body"]
    return is_replay or (
        answer["status"] in (200, 403)
        and ('"status":"SUCCESS"' in body or '"status":"DECLINED"' in body)
    )


def differences(told: set[str], stored: str | None) -> Iterator[str]:
    """Say how the final answers to one key differ."""
    if len(told) > 1:
        yield f"{len(told)} different final answers were told"
    if stored is None:
        yield "a final answer was told, and none is stored"
    elif told != {stored}:
        yield "told another final answer than the stored one"
