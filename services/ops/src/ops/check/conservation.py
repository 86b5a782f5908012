"""I5: each record is in its consumer's inbox or among its dead letters, and no other id is.

A round of the continuous check looks only at the newest committed records, each once, and at a
limited number a partition. A committed record must be accounted for, so no waiting is needed.
`countersign check --full` reads whole topics and also compares the inboxes with them.
"""

import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from itertools import chain, islice
from uuid import UUID

from aiokafka import TopicPartition

from ops.check.joining import paged
from ops.check.produced import ProducedRecord, ProducedRecords, produced_record
from ops.clients.system import System
from ops.clients.topics import (
    Span,
    committed_offsets,
    partitions_of,
    reader,
    records_in,
    run_query,
    spans_of,
)
from ops.domain.findings import Findings, Violation
from service_runtime.clock import Clock

PATH = "/admin/consumed"
MOST_RECORDS = 1000
"""Records in one query of a service: the limit of its route."""
NEWEST = 50
"""Records a partition in one round: with 84 partitions a tenth of a second's work."""
MOST_SUSPECTS = 1000
"""Missing records that the next round queries again."""
WHOLE = 100_000
"""Newest records of a partition that `--full` reads."""
QUERY_WITHIN_S = 30.0
READ_WITHIN_S = 600.0
RECHECK_S = 1.0
CLOCKS_APART = timedelta(seconds=5)
"""A later handled id may belong to a record after the ends that were read."""

Spans = Mapping[TopicPartition, Span]
Offsets = dict[str, dict[TopicPartition, int]]


class Conservation:
    """Compares topics with consumers. A consumer has the name of its group."""

    def __init__(self, system: System, clock: Clock) -> None:
        self._system = system
        self._clock = clock
        self._checked_up_to: dict[TopicPartition, int] = {}
        self._suspects: dict[str, list[ProducedRecord]] = {}

    def newest(self, findings: Findings) -> None:
        """Check the records since the last round, and the missing ones again."""
        try:
            self._check_newest(findings)
        finally:
            for consumer, records in self._suspects.items():
                _note_missing(findings, consumer, records)

    def _check_newest(self, findings: Findings) -> None:
        committed = self._committed()
        spans = self._unchecked_spans(committed)
        with ProducedRecords() as produced:
            self._read(spans, produced)
            for consumer in self._consumers:
                known = self._suspects.get(consumer, [])
                records = chain(known, _handled(produced, committed[consumer]))
                found = self._missing(findings, consumer, records)
                self._suspects[consumer] = list(islice(found, MOST_SUSPECTS))
        self._checked_up_to.update({one: end for one, (_, end) in spans.items()})

    def _unchecked_spans(self, committed: Offsets) -> Spans:
        """Return the newest records that every consumer has committed since the last round."""
        ends: dict[TopicPartition, int] = {}
        for offsets in committed.values():
            for one, upto in offsets.items():
                ends[one] = min(upto, ends.get(one, upto))
        present = self._current_spans(list(ends))
        return {
            one: self._unchecked_span(one, begin, min(end, ends[one]))
            for one, (begin, end) in present.items()
        }

    def _unchecked_span(self, one: TopicPartition, begin: int, end: int) -> Span:
        checked_up_to = min(self._checked_up_to.get(one, 0), end)
        return max(begin, end - NEWEST, checked_up_to), end

    def whole(self, findings: Findings, grace_s: float) -> None:
        """Check all records of the topics and all inboxes.

        Records that exist now must be consumed within the grace period.
        """
        before = self._clock.now() - CLOCKS_APART
        reads = {name: self._system.get(name, PATH)["topics"] for name in self._consumers}
        every = {topic for topics in reads.values() for topic in topics}
        spans = self._current_spans(self._partitions(every))
        committed = self._await_consumers(reads, spans, grace_s)
        read = {one: (max(begin, end - WHOLE), end) for one, (begin, end) in spans.items()}
        with ProducedRecords() as produced:
            self._read(read, produced)
            for consumer, topics in reads.items():
                _note_unread(findings, consumer, _lag(topics, spans, committed[consumer]))
                records = _handled(produced, committed[consumer])
                _note_missing(findings, consumer, self._missing(findings, consumer, records))
                if all(begin == 0 for one, (begin, _) in read.items() if one.topic in topics):
                    _note_unknown(findings, consumer, self._unknown(consumer, produced, before))
                else:
                    findings.notes.append(
                        f"I5: the topics of {consumer} were not read from their first record,"
                        " so its inbox is not compared with them"
                    )

    def _await_consumers(
        self, reads: Mapping[str, Collection[str]], spans: Spans, grace_s: float
    ) -> Offsets:
        """Return the groups' offsets once the spans are consumed or the grace period has ended."""
        deadline = time.monotonic() + grace_s
        while True:
            committed = self._committed()
            lags = [_lag(topics, spans, committed[name]) for name, topics in reads.items()]
            if not any(lags) or time.monotonic() >= deadline:
                return committed
            time.sleep(RECHECK_S)

    def _missing(
        self, findings: Findings, consumer: str, records: Iterator[ProducedRecord]
    ) -> Iterator[ProducedRecord]:
        """Yield the records that are neither handled nor dead letters of the consumer."""
        while batch := list(islice(records, MOST_RECORDS)):
            body = {"records": [asdict(one) for one in batch]}
            rows = self._system.post(consumer, f"{PATH}/missing", body)["records"]
            missing = {(row["topic"], row["partition"], row["offset"]) for row in rows}
            yield from (one for one in batch if (one.topic, one.partition, one.offset) in missing)
            findings.checked["I5"] += len(batch)

    def _unknown(self, consumer: str, produced: ProducedRecords, before: datetime) -> Iterator[str]:
        """Yield the ids in the consumer's inbox that are in no topic."""

        def fetch(after: str) -> list[str]:
            query = {"before": before.isoformat(), "after": after}
            ids: list[str] = self._system.get(consumer, f"{PATH}/ids", **query)["ids"]
            return ids

        handled = paged(fetch, str, str(UUID(int=0)))
        return (one for one in handled if not produced.holds(one))

    @property
    def _consumers(self) -> Sequence[str]:
        return self._system.addresses.owners()

    @property
    def _brokers(self) -> str:
        return self._system.addresses.brokers()

    def _committed(self) -> Offsets:
        asking = committed_offsets(self._brokers, self._consumers)
        return run_query(asking, self._brokers, QUERY_WITHIN_S)

    def _partitions(self, topics: Collection[str]) -> list[TopicPartition]:
        asking = partitions_of(self._brokers, lambda topic: topic in topics)
        return run_query(asking, self._brokers, QUERY_WITHIN_S)

    def _current_spans(self, partitions: Sequence[TopicPartition]) -> Spans:
        async def ask() -> Spans:
            async with reader(self._brokers) as consumer:
                return await spans_of(consumer, partitions)

        return run_query(ask(), self._brokers, QUERY_WITHIN_S)

    def _read(self, spans: Spans, produced: ProducedRecords) -> None:
        async def read() -> None:
            async with reader(self._brokers) as consumer:
                async for records in records_in(consumer, spans):
                    produced.add(map(produced_record, records))

        run_query(read(), self._brokers, READ_WITHIN_S)


def _handled(
    produced: ProducedRecords, committed: Mapping[TopicPartition, int]
) -> Iterator[ProducedRecord]:
    """Yield the records before a group's committed offsets."""
    for record in produced.of({one.topic for one in committed}):
        if record.offset < committed.get(TopicPartition(record.topic, record.partition), 0):
            yield record


def _lag(
    topics: Collection[str], spans: Spans, committed: Mapping[TopicPartition, int]
) -> dict[str, int]:
    """Return a group's lag by topic, without topics that have none."""
    unread: dict[str, int] = {}
    for one, (begin, end) in spans.items():
        left = end - max(begin, committed.get(one, 0))
        if one.topic in topics and left > 0:
            unread[one.topic] = unread.get(one.topic, 0) + left
    return unread


def _note_unread(findings: Findings, consumer: str, unread: Mapping[str, int]) -> None:
    for topic, count in unread.items():
        findings.add(Violation("I5", consumer, f"{count} records of {topic} are not consumed"))


def _note_missing(findings: Findings, consumer: str, records: Iterable[ProducedRecord]) -> None:
    for record in records:
        details = f"{record} is neither handled by {consumer} nor a dead letter"
        findings.add(Violation("I5", record.event_id or str(record), details))


def _note_unknown(findings: Findings, consumer: str, ids: Iterator[str]) -> None:
    for event_id in ids:
        findings.add(Violation("I5", event_id, f"{consumer} has handled it, but no topic has it"))
