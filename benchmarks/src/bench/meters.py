"""Counters of the system: records, lag, batches, bytes."""

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import httpx
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from prometheus_client.parser import text_string_to_metric_families

from bench.system import MOCKS, System
from local_stack.inventory import load_inventory
from local_stack.topics import Topic, load_topics
from payment_schemas.events.record import NotificationDelivered

GROUPS = tuple(one.name for one in load_inventory().core if one.database)
"""Consumer groups and schemas have the names of their services."""
PAYMENT_PATH = tuple(group for group in GROUPS if group != "notification")
"""Without notification, which may lag: its backlog has a separate gate."""
_SIZES = "consumer_batch_size"

K = TypeVar("K")


@dataclass(frozen=True, slots=True)
class Counts:
    """Counters at one time; a run is the difference of two."""

    records: Mapping[str, int]
    """By topic."""
    topic_bytes: int
    """On the broker's disk."""
    wal_bytes: int
    batches: Mapping[tuple[str, str], tuple[int, int]] = field(default_factory=dict)
    """By service and topic: batches, and records in them."""

    def since(self, before: "Counts") -> "Counts":
        """Return the difference."""
        return Counts(
            _difference(self.records, before.records),
            self.topic_bytes - before.topic_bytes,
            self.wal_bytes - before.wal_bytes,
            {
                key: (batches - past[0], records - past[1])
                for key, (batches, records) in self.batches.items()
                for past in (before.batches.get(key, (0, 0)),)
            },
        )


def _difference(after: Mapping[K, int], before: Mapping[K, int]) -> dict[K, int]:
    return {key: value - before.get(key, 0) for key, value in after.items()}


def read_counts(system: System) -> Counts:
    """Read all counters now."""
    topics = load_topics()
    ends = asyncio.run(_ends(system.found.kafka, topics))
    records = {topic.name: 0 for topic in topics}
    for partition, end in ends.items():
        records[partition.topic] += end
    with system.database() as cursor:
        cursor.execute("select pg_current_wal_lsn() - '0/0'::pg_lsn as position")
        wal = int(str(cursor.fetchall()[0]["position"]))
    return Counts(
        records, _log_bytes(system.stack.layout.kafka / "log", records), wal, _batches(system)
    )


def lag(system: System, groups: Iterable[str]) -> dict[str, int]:
    """Return the lag of each group, without notification's topic."""
    return asyncio.run(_lag(system.found.kafka, tuple(groups)))


async def _lag(bootstrap: str, groups: tuple[str, ...]) -> dict[str, int]:
    topics = [topic for topic in load_topics() if topic.name != NotificationDelivered.topic]
    ends = await _ends(bootstrap, topics)
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        behind = {}
        for group in groups:
            done = await admin.list_consumer_group_offsets(group)
            reads = {topic.name for topic in topics if group in topic.readers}
            behind[group] = sum(
                end - max(0, done[partition].offset if partition in done else 0)
                for partition, end in ends.items()
                if partition.topic in reads
            )
        return behind
    finally:
        await admin.close()


async def _ends(bootstrap: str, topics: Iterable[Topic]) -> dict[TopicPartition, int]:
    partitions = await _partitions(bootstrap, [topic.name for topic in topics])
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap)
    await consumer.start()
    try:
        # aiokafka looks up the leader of an unassigned topic only seconds later.
        consumer.assign(partitions)
        consumer.pause(*partitions)
        ends: dict[TopicPartition, int] = await consumer.end_offsets(partitions)
        return ends
    finally:
        await consumer.stop()


async def _partitions(bootstrap: str, topics: list[str]) -> list[TopicPartition]:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        return [
            TopicPartition(topic["topic"], one["partition"])
            for topic in await admin.describe_topics(topics)
            for one in topic["partitions"]
        ]
    finally:
        await admin.close()


def _log_bytes(folder: Path, topics: Iterable[str]) -> int:
    return sum(
        segment.stat().st_size
        for topic in topics
        for segment in folder.glob(f"{topic}-[0-9]*/*.log")
    )


def _batches(system: System) -> dict[tuple[str, str], tuple[int, int]]:
    found: dict[tuple[str, str], tuple[int, int]] = {}
    # In production /metrics needs a credential.
    secret = system.stack.credentials.read("internal-credential-prometheus")
    for service, urls in system.found.urls.items():
        if service in MOCKS:
            continue
        for url in urls:
            for topic, (batches, records) in _sizes_at(url, secret).items():
                past = found.get((service, topic), (0, 0))
                found[service, topic] = (past[0] + batches, past[1] + records)
    return found


def _sizes_at(url: str, secret: str) -> dict[str, tuple[int, int]]:
    headers = {"Authorization": f"Bearer {secret}"}
    text = httpx.get(f"{url}/metrics", headers=headers, timeout=30).raise_for_status().text
    values: dict[tuple[str, str], int] = {}
    for family in text_string_to_metric_families(text):
        if family.name.startswith(_SIZES):
            for sample in family.samples:
                values[sample.labels.get("topic", ""), sample.name] = int(sample.value)
    topics = {topic for topic, _ in values}
    return {
        topic: (values[topic, f"{_SIZES}_count"], values[topic, f"{_SIZES}_sum"])
        for topic in topics
    }
