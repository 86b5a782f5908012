"""Packs records into the producer's own batches, one partition each.

A record that is sent by itself costs a future, a look at the metadata and a queue: four times more.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import lru_cache, partial
from typing import Any
from zlib import crc32

from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.errors import UnknownTopicOrPartitionError
from aiokafka.partitioner import murmur2

from service_runtime.errors import Rejected, Unavailable
from service_runtime.messages import ProducerRecord
from service_runtime.ports import ProducerBatch

MAX_REQUEST_BYTES = 2 * 1024 * 1024
NO_LEADER = -1


HandOver = Callable[
    [Callable[[AIOKafkaProducer], Awaitable[asyncio.Future[Any]]]], Awaitable[asyncio.Future[Any]]
]
"""Lets the producer of the moment send; the future ends when the broker has it."""


async def build_batches(
    producer: AIOKafkaProducer, hand_over: HandOver, records: Sequence[ProducerRecord]
) -> list[ProducerBatch]:
    """Pack records in order; what cannot be sent is a batch that says so when it is sent."""
    topics = {record.topic for record in records}
    counts = {topic: await _partitions_of(producer, topic) for topic in topics}
    unknown = [at for at, record in enumerate(records) if not counts[record.topic]]
    batches: list[_Batch] = []
    filling: dict[TopicPartition, _Batch] = {}
    for place, record in enumerate(records):
        if not counts[record.topic]:
            continue
        partition = TopicPartition(record.topic, _partition_of(record, counts[record.topic]))
        batch = filling.get(partition)
        if batch is None or not batch.add(place, record):
            batch = _Batch(producer, hand_over, partition)
            batch.add(place, record)
            batches.append(batch)
            filling[partition] = batch
    refused = [
        ProducerBatch([at], partial(_refuse, records[at].topic), records[at].topic)
        for at in unknown
    ]
    return [
        *(ProducerBatch(batch.indices, batch.send, batch.ordering_key) for batch in batches),
        *refused,
    ]


class _Batch:
    """Records of one partition, sent as they are."""

    def __init__(
        self, producer: AIOKafkaProducer, hand_over: HandOver, partition: TopicPartition
    ) -> None:
        self.indices: list[int] = []
        self.ordering_key = f"{partition.topic}/{partition.partition}"
        self._producer = producer
        self._publish = hand_over
        self._builder = producer.create_batch()
        self._partition = partition
        self._largest = 0

    def add(self, place: int, record: ProducerRecord) -> bool:
        """Add a record where it fits; the first one always does."""
        added = self._builder.append(
            timestamp=None, key=record.key, value=record.value, headers=list(record.headers)
        )
        if added is not None:
            self.indices.append(place)
            self._largest = max(self._largest, added.size)
        return added is not None

    async def send(self) -> asyncio.Future[Any]:
        """Hand the batch over.

        Raises Rejected where a record is larger than MAX_REQUEST_BYTES, Unavailable where the
        partition has no leader: the producer would keep the batch and all that comes behind it.
        """
        if self._largest > MAX_REQUEST_BYTES:
            raise Rejected(f"{self._partition.topic}: record too large")
        if _leader(self._producer, self._partition) is None:
            raise Unavailable(f"{self.ordering_key}: no leader")
        topic, partition = self._partition
        return await self._publish(
            lambda producer: producer.send_batch(self._builder, topic, partition=partition)
        )


async def leader_of(producer: AIOKafkaProducer, record: ProducerRecord) -> int | None:
    """Return the broker that leads the record's partition; None where there is none now."""
    partition = await partition_of(producer, record)
    return None if partition is None else _leader(producer, TopicPartition(record.topic, partition))


async def partition_of(producer: AIOKafkaProducer, record: ProducerRecord) -> int | None:
    """Return the partition that the record goes to; None where the broker knows no such topic."""
    partitions = await _partitions_of(producer, record.topic)
    return _partition_of(record, partitions) if partitions else None


def _leader(producer: AIOKafkaProducer, partition: TopicPartition) -> int | None:
    leader = producer.client.cluster.leader_for_partition(partition)
    if leader is None or leader == NO_LEADER:
        producer.client.force_metadata_update()
        return None
    return int(leader)


async def _partitions_of(producer: AIOKafkaProducer, topic: str) -> int:
    """Count a topic's partitions; 0 where the broker does not know it."""
    try:
        return len(await producer.partitions_for(topic))
    except UnknownTopicOrPartitionError:
        return 0


async def _refuse(topic: str) -> asyncio.Future[Any]:
    raise Rejected(f"{topic}: the broker knows no such topic")


def _partition_of(record: ProducerRecord, partitions: int) -> int:
    """Return the partition that every Kafka client would choose for the key."""
    if record.partition is not None:
        return record.partition
    if partitions == 1:
        return 0
    if record.key is None:
        return crc32(record.value or b"") % partitions
    return int(_hash_of(record.key)) % partitions


@lru_cache(maxsize=8192)
def _hash_of(key: bytes) -> int:
    """Hash a key as Kafka's clients do; one payment's records share theirs."""
    return int(murmur2(key)) & 0x7FFFFFFF
