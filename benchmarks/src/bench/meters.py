"""Counters of the system: records, lag, batches, bytes."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import httpx
from aiokafka import TopicPartition
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from bench.system import MOCKS, System
from local_stack.inventory import load_inventory
from local_stack.topics import load_topics
from ops.clients.topics import (
    Span,
    committed_offsets,
    partitions_of,
    reader,
    run_query,
    spans_of,
)
from payment_schemas.events.record import NotificationDelivered

GROUPS = tuple(one.name for one in load_inventory().core if one.database)
"""Consumer groups and schemas have the names of their services."""
PAYMENT_PATH = tuple(group for group in GROUPS if group != "notification")
"""Without notification, which may lag: its backlog has a separate gate."""
_SIZES = "consumer_batch_size"
_WITHIN_S = 30

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
    spans: Mapping[TopicPartition, Span] = field(default_factory=dict)
    """First and end offsets."""

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
            {one: (before.spans.get(one, span)[1], span[1]) for one, span in self.spans.items()},
        )


def _difference(after: Mapping[K, int], before: Mapping[K, int]) -> dict[K, int]:
    return {key: value - before.get(key, 0) for key, value in after.items()}


def read_counts(system: System) -> Counts:
    """Read all counters now."""
    records = {topic.name: 0 for topic in load_topics()}
    spans = spans_of_topics(system, records.keys())
    for partition, (_, end) in spans.items():
        records[partition.topic] += end
    with system.database() as cursor:
        cursor.execute("select pg_current_wal_lsn() - '0/0'::pg_lsn as position")
        wal = int(str(cursor.fetchall()[0]["position"]))
    folder = system.stack.layout.kafka
    return Counts(records, _log_bytes(folder, records), wal, _batches(system), spans)


def lag(system: System, groups: Iterable[str]) -> dict[str, int]:
    """Return the lag of each group, without notification's topic."""
    topics = [topic for topic in load_topics() if topic.name != NotificationDelivered.topic]
    spans = spans_of_topics(system, {topic.name for topic in topics})
    brokers, behind = system.found.brokers, {}
    committed = run_query(committed_offsets(brokers, tuple(groups)), brokers, _WITHIN_S)
    for group, done in committed.items():
        reads = {topic.name for topic in topics if group in topic.readers}
        behind[group] = sum(
            end - max(first, done.get(one, 0))
            for one, (first, end) in spans.items()
            if one.topic in reads
        )
    return behind


def spans_of_topics(system: System, topics: Collection[str]) -> dict[TopicPartition, Span]:
    """Return the current first and end offset of each partition of these topics."""

    async def read() -> dict[TopicPartition, Span]:
        partitions = await partitions_of(brokers, lambda topic: topic in topics)
        async with reader(brokers) as consumer:
            return await spans_of(consumer, partitions)

    brokers = system.found.brokers
    return run_query(read(), brokers, _WITHIN_S)


def _log_bytes(folder: Path, topics: Iterable[str]) -> int:
    return sum(
        segment.stat().st_size
        for topic in topics
        for segment in folder.glob(f"log*/{topic}-[0-9]*/*.log")
    )


def _batches(system: System) -> dict[tuple[str, str], tuple[int, int]]:
    found: dict[tuple[str, str], tuple[int, int]] = {}
    for service, urls in system.found.urls.items():
        if service in MOCKS:
            continue
        for url in urls:
            for topic, (batches, records) in _sizes_at(system, url).items():
                past = found.get((service, topic), (0, 0))
                found[service, topic] = (past[0] + batches, past[1] + records)
    return found


def settled(system: System, partner: str) -> int:
    """Return the number of transfers that settlement has settled at a partner since its start."""
    wanted, name = {"status": "SETTLED", "partner": partner}, "settlement_total"
    # Asked often, while CPU is measured: the other lines are not parsed.
    lines = _metrics(system, system.found.url("settlement")).splitlines(keepends=True)
    text = "".join(line for line in lines if line.startswith(name))
    return sum(
        int(sample.value)
        for sample in _samples(text)
        if sample.name == name and wanted.items() <= sample.labels.items()
    )


def _metrics(system: System, url: str) -> str:
    # In production /metrics needs a credential.
    secret = system.stack.credentials.read("internal-credential-prometheus")
    headers = {"Authorization": f"Bearer {secret}"}
    return httpx.get(f"{url}/metrics", headers=headers, timeout=30).raise_for_status().text


def _samples(text: str) -> Iterator[Sample]:
    for family in text_string_to_metric_families(text):
        yield from family.samples


def _sizes_at(system: System, url: str) -> dict[str, tuple[int, int]]:
    values: dict[tuple[str, str], int] = {}
    for sample in _samples(_metrics(system, url)):
        if sample.name.startswith(_SIZES):
            values[sample.labels.get("topic", ""), sample.name] = int(sample.value)
    topics = {topic for topic, _ in values}
    return {
        topic: (values[topic, f"{_SIZES}_count"], values[topic, f"{_SIZES}_sum"])
        for topic in topics
    }
