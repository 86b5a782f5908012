"""I5: every offset below a consumer's next one was handled or is a dead letter.

Each consumer counts in the transaction of the effect what it has handled, so its table shows a
record over which the offset was raised without either. `countersign check --full` also waits until
the consumers have read their topics.
"""

import time
from collections.abc import Iterator, Mapping
from typing import Any

from aiokafka import TopicPartition

from ops.clients.system import System
from ops.clients.topics import Span, partitions_of, reader, run_query, spans_of
from ops.domain.findings import Findings, Violation

PATH = "/admin/consumed"
QUERY_WITHIN_S = 30.0
RECHECK_S = 1.0

Spans = Mapping[TopicPartition, Span]
Consumed = Mapping[str, Any]
"""What a consumer reports: its topics, and the offsets of its partitions."""


class Conservation:
    """Compares the consumers' offsets with what they have handled, and with the topics."""

    def __init__(self, system: System) -> None:
        self._system = system

    def handled(self, findings: Findings) -> None:
        """Check that nothing below the consumers' offsets is missing."""
        for consumer in self._system.addresses.owners():
            _note_missing(findings, consumer, self._consumed(consumer))

    def whole(self, findings: Findings, grace_s: float) -> None:
        """Check also that what is in the topics now is consumed within the grace period."""
        first = {name: self._consumed(name) for name in self._system.addresses.owners()}
        reports = dict(first)
        spans = self._spans({topic for one in first.values() for topic in one["topics"]})
        deadline = time.monotonic() + grace_s
        while True:
            unread = {name: dict(_unread(one, spans)) for name, one in reports.items()}
            if not any(unread.values()) or time.monotonic() >= deadline:
                break
            time.sleep(RECHECK_S)
            reports |= {name: self._consumed(name) for name, left in unread.items() if left}
        for consumer, report in reports.items():
            _note_missing(findings, consumer, report)
            # A later report may be of records that came after the look at the topics.
            _note_beyond(findings, consumer, first[consumer], spans)
            for topic, count in unread[consumer].items():
                details = f"{count} records of {topic} are not consumed"
                findings.add(Violation("I5", consumer, details))

    def _consumed(self, consumer: str) -> Consumed:
        found: Consumed = self._system.get(consumer, PATH)
        return found

    def _spans(self, topics: set[str]) -> Spans:
        brokers = self._system.addresses.brokers()

        async def ask() -> Spans:
            partitions = await partitions_of(brokers, lambda topic: topic in topics)
            async with reader(brokers) as consumer:
                return await spans_of(consumer, partitions)

        return run_query(ask(), brokers, QUERY_WITHIN_S)


def _offsets(report: Consumed) -> Iterator[tuple[TopicPartition, Mapping[str, Any]]]:
    for row in report["partitions"]:
        yield TopicPartition(row["topic"], row["partition"]), row


def _note_missing(findings: Findings, consumer: str, report: Consumed) -> None:
    for one, row in _offsets(report):
        findings.checked["I5"] += row["next_offset"] - row["first_offset"]
        if row["missing"]:
            details = (
                f"{consumer} has passed over {row['missing']} records between offsets"
                f" {row['first_offset']} and {row['next_offset']}: neither handled nor dead letters"
            )
            findings.add(Violation("I5", f"{one.topic}/{one.partition}", details))


def _note_beyond(findings: Findings, consumer: str, report: Consumed, spans: Spans) -> None:
    for one, row in _offsets(report):
        if one in spans and row["next_offset"] > spans[one][1]:
            details = (
                f"{consumer} has handled up to {row['next_offset']}, but the log ends at"
                f" {spans[one][1]}: restart {consumer}, so that it reads the new log"
            )
            findings.add(Violation("I5", f"{one.topic}/{one.partition}", details))


def _unread(report: Consumed, spans: Spans) -> Mapping[str, int]:
    """Return by topic how many records are not consumed, without topics that have none."""
    reached = {one: row["next_offset"] for one, row in _offsets(report)}
    unread: dict[str, int] = {}
    for one, (begin, end) in spans.items():
        left = end - max(begin, reached.get(one, 0))
        if one.topic in report["topics"] and left > 0:
            unread[one.topic] = unread.get(one.topic, 0) + left
    return unread
