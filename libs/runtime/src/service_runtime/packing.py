"""Packs records into the producer's own batches, one partition each.

A record that is sent by itself costs a future, a look at the metadata and a queue: four times more.
"""

import asyncio
from collections.abc import Sequence
from functools import lru_cache, partial
from typing import Any
from zlib import crc32

from aiokafka import AIOKafkaProducer
from aiokafka.errors import UnknownTopicOrPartitionError
from aiokafka.partitioner import murmur2

from service_runtime.errors import Rejected
from service_runtime.messages import Outgoing
from service_runtime.ports import Parcel

MAX_REQUEST_BYTES = 2 * 1024 * 1024


async def packed(producer: AIOKafkaProducer, records: Sequence[Outgoing]) -> list[Parcel]:
    """Pack records in order; what can never be sent is a parcel that says so when it is sent."""
    topics = {record.topic for record in records}
    counts = {topic: await _partitions_of(producer, topic) for topic in topics}
    unknown = [at for at, record in enumerate(records) if not counts[record.topic]]
    batches: list[_Batch] = []
    filling: dict[tuple[str, int], _Batch] = {}
    for place, record in enumerate(records):
        if not counts[record.topic]:
            continue
        partition = _partition_of(record, counts[record.topic])
        batch = filling.get((record.topic, partition))
        if batch is None or not batch.add(place, record):
            batch = _Batch(producer, record.topic, partition)
            batch.add(place, record)
            batches.append(batch)
            filling[record.topic, partition] = batch
    refused = [Parcel([at], partial(_refuse, records[at].topic)) for at in unknown]
    return [*(Parcel(batch.places, batch.send) for batch in batches), *refused]


class _Batch:
    """Records of one partition, sent as they are."""

    def __init__(self, producer: AIOKafkaProducer, topic: str, partition: int) -> None:
        self.places: list[int] = []
        self._producer = producer
        self._builder = producer.create_batch()
        self._topic = topic
        self._partition = partition
        self._largest = 0

    def add(self, place: int, record: Outgoing) -> bool:
        """Add a record where it fits; the first one always does."""
        added = self._builder.append(
            timestamp=None, key=record.key, value=record.value, headers=list(record.headers)
        )
        if added is not None:
            self.places.append(place)
            self._largest = max(self._largest, added.size)
        return added is not None

    async def send(self) -> asyncio.Future[Any]:
        """Hand the batch over; raise Rejected where a record is larger than MAX_REQUEST_BYTES."""
        if self._largest > MAX_REQUEST_BYTES:
            raise Rejected(f"{self._topic}: record too large")
        future: asyncio.Future[Any] = await self._producer.send_batch(
            self._builder, self._topic, partition=self._partition
        )
        return future


async def _partitions_of(producer: AIOKafkaProducer, topic: str) -> int:
    """Count a topic's partitions; 0 where the broker does not know it."""
    try:
        return len(await producer.partitions_for(topic))
    except UnknownTopicOrPartitionError:
        return 0


async def _refuse(topic: str) -> asyncio.Future[Any]:
    raise Rejected(f"{topic}: the broker knows no such topic")


def _partition_of(record: Outgoing, partitions: int) -> int:
    """Return the partition that every Kafka client would choose for the key."""
    if record.partition is not None:
        return record.partition
    if record.key is None:
        return crc32(record.value or b"") % partitions
    return int(_hash_of(record.key)) % partitions


@lru_cache(maxsize=8192)
def _hash_of(key: bytes) -> int:
    """Hash a key as Kafka's clients do; one payment's records share theirs."""
    return int(murmur2(key)) & 0x7FFFFFFF
