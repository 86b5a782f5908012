"""Dead letters, read from Kafka by a consumer without a group, so that no offset moves."""

import asyncio
from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from aiokafka import TopicPartition

from ops.clients.topics import Span, partitions_of, reader, records_in, run_query, spans_of
from ops.domain.masking import masked
from payment_schemas.cloudevents import Headers
from service_runtime.brokers import Brokers
from service_runtime.dead_letters import SUFFIX

READ_WITHIN_S = 30.0


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A record that a consumer refused for good: its position and the reason."""

    topic: str
    """The topic from which the consumer read it."""
    partition: int
    """Partition of the dead-letter topic; so is the offset."""
    offset: int
    time: datetime
    event_id: str
    type: str
    subject: str
    consumer: str
    reason: str
    error_class: str
    attempts: str
    source: str
    """Partition and offset in the original topic."""
    key: bytes | None
    headers: Headers
    """The original headers, then those of the dead letter."""
    value: bytes | None

    @property
    def place(self) -> str:
        """Topic, and partition and offset in the dead-letter topic."""
        return f"{self.topic}/{self.partition}/{self.offset}"


Wanted = Callable[[DeadLetter], bool]


@dataclass(slots=True)
class Group:
    """Dead letters that one consumer has refused for one reason."""

    topic: str
    consumer: str
    reason: str
    error_class: str
    letters: int
    first_at: datetime
    last_at: datetime


@dataclass(frozen=True, slots=True)
class Found:
    """The newest matching dead letters, oldest first, and the total number."""

    letters: list[DeadLetter]
    total: int
    groups: Sequence[Group] = ()
    """All that match, the newest group first."""


def wanted(
    topic: str | None, reason: str | None, event_id: str | None, error_class: str | None = None
) -> Wanted:
    """Return a predicate for the letters that match all given options."""
    source = topic.removesuffix(SUFFIX) if topic else None

    def matches(letter: DeadLetter) -> bool:
        return (
            source in (None, letter.topic)
            and reason in (None, letter.reason)
            and event_id in (None, letter.event_id, letter.place)
            and error_class in (None, letter.error_class)
        )

    return matches


def is_discarded(letter: DeadLetter, discarded_at: Mapping[str, datetime]) -> bool:
    """Say whether a letter is discarded, by place; a later one there, of a new log, is not."""
    at = discarded_at.get(letter.place)
    return at is not None and letter.time <= at


def read(brokers: Brokers, matches: Wanted, most: int) -> Found:
    """Read all dead-letter topics to their current ends; raise UnavailableError after 30 s."""
    return run_query(read_all(brokers, matches, most), brokers, READ_WITHIN_S)


async def read_all(brokers: Brokers, matches: Wanted, most: int) -> Found:
    """Read all dead-letter topics to their current ends; raise KafkaError."""
    newest: deque[DeadLetter] = deque(maxlen=most)
    groups: dict[tuple[str, ...], Group] = {}
    total = 0
    partitions = await partitions_of(brokers, lambda topic: topic.endswith(SUFFIX))
    async with reader(brokers) as consumer:
        async for records in records_in(consumer, await spans_of(consumer, partitions)):
            letters = [one for one in map(letter_of, records) if matches(one)]
            total += len(letters)
            newest.extend(letters)
            for letter in letters:
                _count(groups, letter)
    by_age = sorted(groups.values(), key=lambda group: group.last_at, reverse=True)
    return Found(sorted(newest, key=lambda letter: letter.time), total, by_age)


def _count(groups: dict[tuple[str, ...], Group], letter: DeadLetter) -> None:
    names = letter.topic, letter.consumer, letter.reason, letter.error_class
    group = groups.setdefault(names, Group(*names, 0, letter.time, letter.time))
    group.letters += 1
    group.first_at = min(group.first_at, letter.time)
    group.last_at = max(group.last_at, letter.time)


def shown(letter: DeadLetter) -> dict[str, Any]:
    """Return a letter for people: its data masked, except ids and amounts."""
    fields = asdict(letter)
    for raw in ("key", "headers", "value"):
        del fields[raw]
    return fields | {"place": letter.place, "data": masked(letter.value)}


async def letters_at(brokers: Brokers, places: Collection[str]) -> list[DeadLetter]:
    """Return the dead letters at these places; those that are gone are left out.

    Raises KafkaError, or TimeoutError after 30 s.
    """
    spans: dict[TopicPartition, Span] = {}
    for place in places:
        topic, partition, offset = place.rsplit("/", 2)
        one, at = TopicPartition(topic + SUFFIX, int(partition)), int(offset)
        first, end = spans.get(one, (at, at + 1))
        spans[one] = min(first, at), max(end, at + 1)
    found: list[DeadLetter] = []
    async with asyncio.timeout(READ_WITHIN_S), reader(brokers) as consumer:
        known = await spans_of(consumer, await partitions_of(brokers, _is_one_of(spans)))
        within = {
            one: (max(first, spans[one][0]), min(end, spans[one][1]))
            for one, (first, end) in known.items()
            if one in spans
        }
        async for records in records_in(consumer, within):
            found += [one for one in map(letter_of, records) if one.place in places]
    return found


def _is_one_of(spans: Mapping[TopicPartition, Span]) -> Callable[[str], bool]:
    topics = {one.topic for one in spans}
    return lambda topic: topic in topics


def letter_of(record: Any) -> DeadLetter:
    """Return a record of a dead-letter topic; missing headers are empty."""
    headers = {name: (value or b"").decode("utf-8", "replace") for name, value in record.headers}
    return DeadLetter(
        # By its position, not by a header: a forged header must not redirect it to another topic.
        topic=record.topic.removesuffix(SUFFIX),
        partition=record.partition,
        offset=record.offset,
        time=datetime.fromtimestamp(record.timestamp / 1000, UTC),
        event_id=headers.get("ce_id", ""),
        type=headers.get("ce_type", ""),
        subject=headers.get("ce_subject", ""),
        consumer=headers.get("dl_consumer", ""),
        reason=headers.get("dl_reason", ""),
        error_class=headers.get("dl_error_class", ""),
        attempts=headers.get("dl_attempts", ""),
        source=f"{headers.get('dl_partition', '?')}:{headers.get('dl_offset', '?')}",
        key=record.key,
        headers=tuple(record.headers),
        value=record.value,
    )
