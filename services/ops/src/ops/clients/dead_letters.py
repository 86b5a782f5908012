"""Dead letters, read straight from Kafka by a consumer without a group: looking moves nothing."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from ops.clients.topics import answered, partitions_of, reader, records_in, spans_of
from payment_schemas.cloudevents import Headers
from service_runtime.dead_letters import SUFFIX

READ_WITHIN_S = 30.0


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
    return answered(_read(brokers, wanted, most), brokers, READ_WITHIN_S)


async def _read(brokers: str, wanted: Wanted, most: int) -> Found:
    newest: deque[DeadLetter] = deque(maxlen=most)
    total = 0
    partitions = await partitions_of(brokers, lambda topic: topic.endswith(SUFFIX))
    async with reader(brokers) as consumer:
        async for records in records_in(consumer, await spans_of(consumer, partitions)):
            letters = [one for one in map(letter_of, records) if wanted(one)]
            total += len(letters)
            newest.extend(letters)
    return Found(sorted(newest, key=lambda letter: letter.time), total)


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
