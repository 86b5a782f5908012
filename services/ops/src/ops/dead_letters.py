"""Dead letters, read straight from Kafka by a consumer without a group: looking moves nothing."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from ops.errors import NotAskedError
from payment_schemas.cloudevents import Headers
from service_runtime.dead_letters import SUFFIX

READ_WITHIN_S = 30.0
REQUEST_TIMEOUT_MS = 10_000
POLL_MS = 500
POLL_RECORDS = 1000


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A record that a consumer refused for good: where it lies, and why."""

    topic: str
    """The topic that it was refused from."""
    partition: int
    """Of the dead-letter topic, like the offset."""
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
    """Partition and offset that it was refused at."""
    key: bytes | None
    headers: Headers
    """As they lie there: the record's own, and behind them why it was refused."""
    value: bytes | None

    @property
    def place(self) -> str:
        """Where it lies: topic, and partition and offset of the dead-letter topic."""
        return f"{self.topic}/{self.partition}/{self.offset}"


Wanted = Callable[[DeadLetter], bool]


@dataclass(frozen=True, slots=True)
class Found:
    """The newest dead letters that were wanted, oldest first, and how many there are."""

    letters: list[DeadLetter]
    total: int


def read(brokers: str, wanted: Wanted, most: int) -> Found:
    """Read all dead-letter topics up to their present ends; raise NotAskedError past 30 s."""
    try:
        return asyncio.run(_read(brokers, wanted, most))
    except TimeoutError:
        raise NotAskedError(
            f"Kafka at {brokers} did not hand over all dead letters within {READ_WITHIN_S:.0f} s:"
            " see `make status`, or name a topic"
        ) from None
    except KafkaError as error:
        raise NotAskedError(
            f"Kafka at {brokers} cannot be asked ({type(error).__name__}): see `make status`"
        ) from None


async def _read(brokers: str, wanted: Wanted, most: int) -> Found:
    newest: deque[DeadLetter] = deque(maxlen=most)
    total = 0
    async with asyncio.timeout(READ_WITHIN_S), _consumer(brokers) as consumer:
        async for letter in _letters(consumer, brokers):
            if wanted(letter):
                total += 1
                newest.append(letter)
    return Found(sorted(newest, key=lambda letter: letter.time), total)


@asynccontextmanager
async def _consumer(brokers: str) -> AsyncIterator[AIOKafkaConsumer]:
    consumer = AIOKafkaConsumer(
        bootstrap_servers=brokers,
        client_id="ops",
        group_id=None,
        enable_auto_commit=False,
        request_timeout_ms=REQUEST_TIMEOUT_MS,
    )
    try:
        await consumer.start()
        yield consumer
    finally:
        await consumer.stop()


async def _letters(consumer: AIOKafkaConsumer, brokers: str) -> AsyncIterator[DeadLetter]:
    """Yield what lies between the present beginnings and ends of all dead-letter topics."""
    partitions = await _partitions(brokers)
    first = await consumer.beginning_offsets(partitions) if partitions else {}
    ends = await consumer.end_offsets(partitions) if partitions else {}
    left = {one for one in partitions if first[one] < ends[one]}
    consumer.assign(sorted(left))
    for one in left:
        consumer.seek(one, first[one])
    while left:
        polled = await consumer.getmany(timeout_ms=POLL_MS, max_records=POLL_RECORDS)
        for letter in _before(polled, ends):
            yield letter
        # By position and not by record: the last offsets may hold no record that is ours to read.
        left = {one for one in left if await consumer.position(one) < ends[one]}


async def _partitions(brokers: str) -> list[TopicPartition]:
    """Return all partitions of all dead-letter topics."""
    admin = AIOKafkaAdminClient(
        bootstrap_servers=brokers, client_id="ops", request_timeout_ms=REQUEST_TIMEOUT_MS
    )
    try:
        await admin.start()
        topics = [topic for topic in await admin.list_topics() if topic.endswith(SUFFIX)]
        described = await admin.describe_topics(sorted(topics)) if topics else []
    finally:
        await admin.close()
    return [
        TopicPartition(topic["topic"], partition["partition"])
        for topic in described
        for partition in topic["partitions"]
    ]


def _before(polled: dict[TopicPartition, Any], ends: dict[Any, int]) -> Iterator[DeadLetter]:
    for partition, records in polled.items():
        for record in records:
            if record.offset < ends[partition]:
                yield letter_of(record)


def letter_of(record: Any) -> DeadLetter:
    """Return what a record of a dead-letter topic says; what it lacks is empty."""
    headers = {name: (value or b"").decode("utf-8", "replace") for name, value in record.headers}
    return DeadLetter(
        # By where it lies, not by a header: a forged one must not send it to another topic.
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
