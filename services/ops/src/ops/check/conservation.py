"""I5: what was produced is in its reader's inbox or among its dead letters, and nothing else is.

Continuously only the newest records are looked at, each once, and of a partition only as many as a
round can bear: what was committed is surely accounted for, so nothing has to be waited for.
`countersign check --full` reads the topics from their beginnings, and holds the inboxes against
them too.
"""

import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from itertools import chain, islice
from uuid import UUID

from aiokafka import TopicPartition

from ops.check.joining import paged
from ops.check.produced import Place, Produced, place_of
from ops.clients.system import System
from ops.clients.topics import (
    Span,
    answered,
    committed_by,
    partitions_of,
    reader,
    records_in,
    spans_of,
)
from ops.domain.findings import Findings, Violation
from service_runtime.clock import Clock

PATH = "/admin/consumed"
MOST_RECORDS = 1000
"""Records that a consumer is asked about at once: its own limit."""
NEWEST = 50
"""Records of a partition that one round looks at: with 84 partitions a tenth of a second's work."""
MOST_SUSPECTS = 1000
"""Records that are asked about again in the next round."""
WHOLE = 100_000
"""Newest records of a partition that `--full` reads."""
ASKED_WITHIN_S = 30.0
READ_WITHIN_S = 600.0
LOOK_AGAIN_S = 1.0
CLOCKS_APART = timedelta(seconds=5)
"""An id that was handled later may belong to a record behind the ends that were read."""

Spans = Mapping[TopicPartition, Span]
Offsets = dict[str, dict[TopicPartition, int]]


class Conservation:
    """Holds topics and consumers against each other. A consumer is named as its group is."""

    def __init__(self, system: System, clock: Clock) -> None:
        self._system = system
        self._clock = clock
        self._looked_up_to: dict[TopicPartition, int] = {}
        self._suspects: dict[str, list[Place]] = {}

    def newest(self, findings: Findings) -> None:
        """Look at what was read since the last time; what was missing is asked about again."""
        try:
            self._look_further(findings)
        finally:
            for consumer, places in self._suspects.items():
                _note_missing(findings, consumer, places)

    def _look_further(self, findings: Findings) -> None:
        committed = self._committed()
        spans = self._not_looked_at(committed)
        with Produced() as produced:
            self._read(spans, produced)
            for consumer in self._consumers:
                known = self._suspects.get(consumer, [])
                places = chain(known, _handled(produced, committed[consumer]))
                found = self._missing(findings, consumer, places)
                self._suspects[consumer] = list(islice(found, MOST_SUSPECTS))
        self._looked_up_to.update({one: end for one, (_, end) in spans.items()})

    def _not_looked_at(self, committed: Offsets) -> Spans:
        """Return the newest records that every reader has committed, behind those of last time."""
        ends: dict[TopicPartition, int] = {}
        for offsets in committed.values():
            for one, upto in offsets.items():
                ends[one] = min(upto, ends.get(one, upto))
        present = self._present(list(ends))
        return {
            one: self._behind_last_time(one, begin, min(end, ends[one]))
            for one, (begin, end) in present.items()
        }

    def _behind_last_time(self, one: TopicPartition, begin: int, end: int) -> Span:
        looked_up_to = min(self._looked_up_to.get(one, 0), end)
        return max(begin, end - NEWEST, looked_up_to), end

    def whole(self, findings: Findings, grace_s: float) -> None:
        """Look at everything that the topics still hold and at every inbox.

        What has been produced by now must be read within the grace.
        """
        before = self._clock.now() - CLOCKS_APART
        reads = {name: self._system.get(name, PATH)["topics"] for name in self._consumers}
        every = {topic for topics in reads.values() for topic in topics}
        spans = self._present(self._partitions(every))
        committed = self._when_read(reads, spans, grace_s)
        read = {one: (max(begin, end - WHOLE), end) for one, (begin, end) in spans.items()}
        with Produced() as produced:
            self._read(read, produced)
            for consumer, topics in reads.items():
                _note_unread(findings, consumer, _lag(topics, spans, committed[consumer]))
                places = _handled(produced, committed[consumer])
                _note_missing(findings, consumer, self._missing(findings, consumer, places))
                if all(begin == 0 for one, (begin, _) in read.items() if one.topic in topics):
                    _note_unknown(findings, consumer, self._unknown(consumer, produced, before))
                else:
                    findings.notes.append(
                        f"I5: the topics that {consumer} reads are not read from their first"
                        " record on, so its inbox is not held against them"
                    )

    def _when_read(
        self, reads: Mapping[str, Collection[str]], spans: Spans, grace_s: float
    ) -> Offsets:
        """Return the groups' offsets once the spans are read, or the grace is over."""
        deadline = time.monotonic() + grace_s
        while True:
            committed = self._committed()
            lags = [_lag(topics, spans, committed[name]) for name, topics in reads.items()]
            if not any(lags) or time.monotonic() >= deadline:
                return committed
            time.sleep(LOOK_AGAIN_S)

    def _missing(
        self, findings: Findings, consumer: str, places: Iterator[Place]
    ) -> Iterator[Place]:
        """Yield the records that the consumer has neither handled nor set aside."""
        while asked := list(islice(places, MOST_RECORDS)):
            body = {"records": [asdict(one) for one in asked]}
            rows = self._system.post(consumer, f"{PATH}/missing", body)["records"]
            missing = {(row["topic"], row["partition"], row["offset"]) for row in rows}
            yield from (one for one in asked if (one.topic, one.partition, one.offset) in missing)
            findings.checked["I5"] += len(asked)

    def _unknown(self, consumer: str, produced: Produced, before: datetime) -> Iterator[str]:
        """Return the ids in the consumer's inbox that no topic holds."""

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
        asking = committed_by(self._brokers, self._consumers)
        return answered(asking, self._brokers, ASKED_WITHIN_S)

    def _partitions(self, topics: Collection[str]) -> list[TopicPartition]:
        asking = partitions_of(self._brokers, lambda topic: topic in topics)
        return answered(asking, self._brokers, ASKED_WITHIN_S)

    def _present(self, partitions: Sequence[TopicPartition]) -> Spans:
        async def ask() -> Spans:
            async with reader(self._brokers) as consumer:
                return await spans_of(consumer, partitions)

        return answered(ask(), self._brokers, ASKED_WITHIN_S)

    def _read(self, spans: Spans, produced: Produced) -> None:
        async def read() -> None:
            async with reader(self._brokers) as consumer:
                async for records in records_in(consumer, spans):
                    produced.add(map(place_of, records))

        answered(read(), self._brokers, READ_WITHIN_S)


def _handled(produced: Produced, committed: Mapping[TopicPartition, int]) -> Iterator[Place]:
    """Yield the records before a group's offsets."""
    for place in produced.of({one.topic for one in committed}):
        if place.offset < committed.get(TopicPartition(place.topic, place.partition), 0):
            yield place


def _lag(
    topics: Collection[str], spans: Spans, committed: Mapping[TopicPartition, int]
) -> dict[str, int]:
    """Return how many records of each topic a group has not read, where there are any."""
    unread: dict[str, int] = {}
    for one, (begin, end) in spans.items():
        left = end - max(begin, committed.get(one, 0))
        if one.topic in topics and left > 0:
            unread[one.topic] = unread.get(one.topic, 0) + left
    return unread


def _note_unread(findings: Findings, consumer: str, unread: Mapping[str, int]) -> None:
    for topic, count in unread.items():
        findings.add(Violation("I5", consumer, f"{count} records of {topic} are not read"))


def _note_missing(findings: Findings, consumer: str, places: Iterable[Place]) -> None:
    for place in places:
        details = f"{consumer} has neither handled {place} nor set it aside"
        findings.add(Violation("I5", place.event_id or str(place), details))


def _note_unknown(findings: Findings, consumer: str, ids: Iterator[str]) -> None:
    for event_id in ids:
        findings.add(Violation("I5", event_id, f"{consumer} has handled it, and no topic holds it"))
