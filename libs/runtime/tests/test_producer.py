"""A producer that the broker has refused recovers, and reports its state meanwhile."""

import asyncio
import os
import time
from uuid import uuid4

import pytest
from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import LeaderNotAvailableError

from service_runtime.errors import Rejected, Unavailable
from service_runtime.messages import ProducerRecord
from service_runtime.producer import STUCK_S, KafkaProducer

pytestmark = pytest.mark.stack


@pytest.fixture
async def topic(infrastructure):
    """A topic that accepts no batch over 2,000 bytes."""
    name = f"small.{uuid4().hex}"
    admin = AIOKafkaAdminClient(**infrastructure.brokers.arguments)
    await admin.start()
    small = {"max.message.bytes": "2000"}
    await admin.create_topics([NewTopic(name, 2, 1, topic_configs=small)])
    yield name
    await admin.close()


@pytest.fixture
async def producer(infrastructure):
    async with KafkaProducer(infrastructure.brokers, "test") as made:
        yield made


def record(topic, value=b"small", partition=0):
    return ProducerRecord(topic, b"key", value, (), partition)


async def delivered(producer, one):
    await (await producer.send(one))


async def test_a_producer_that_the_broker_has_refused_sends_again_within_5_s(producer, topic):
    await delivered(producer, record(topic))
    begin = time.monotonic()
    with pytest.raises(Rejected, match="MessageSizeTooLarge"):
        await delivered(producer, record(topic, os.urandom(9000)))
    assert not await producer.connected()

    await delivered(producer, record(topic))
    await delivered(producer, record(topic, partition=1))

    assert time.monotonic() - begin < 5
    assert await producer.connected()


async def test_records_behind_a_refused_one_are_to_be_resent(producer, topic):
    await delivered(producer, record(topic))
    records = [record(topic, os.urandom(9000)), record(topic), record(topic)]
    batches = [batch for one in records for batch in await producer.build_batches([one])]
    futures = [await batch.send() for batch in batches]

    refused, *behind = await asyncio.gather(*futures, return_exceptions=True)

    assert isinstance(refused, Rejected)
    assert not any(isinstance(one, Rejected) for one in behind)
    await delivered(producer, record(topic))


async def test_a_partition_without_a_leader_is_refused_before_the_send_and_no_other(
    producer, topic, monkeypatch
):
    await delivered(producer, record(topic))
    cluster = producer._producer.client.cluster
    leader_of = cluster.leader_for_partition
    gone = TopicPartition(topic, 1)
    monkeypatch.setattr(
        cluster, "leader_for_partition", lambda one: -1 if one == gone else leader_of(one)
    )
    lost, taken = [(await producer.build_batches([record(topic, partition=n)]))[0] for n in (1, 0)]

    with pytest.raises(Unavailable, match="no leader"):
        await lost.send()
    await (await taken.send())
    assert not await producer.takes(record(topic, partition=1))
    assert await producer.takes(record(topic, partition=0))
    assert await producer.connected()


async def test_a_producer_is_ready_while_records_are_acknowledged(producer, topic, monkeypatch):
    await delivered(producer, record(topic))
    stuck = asyncio.get_running_loop().create_future()
    producer._open[stuck] = producer._producer, time.monotonic() - STUCK_S - 1
    assert await producer.connected()

    monkeypatch.setattr(producer, "_acknowledged_s", time.monotonic() - STUCK_S - 1)
    assert not await producer.connected()


async def test_a_batch_that_lost_its_leader_leaves_no_gap_behind(producer, topic):
    await delivered(producer, record(topic))
    first = producer._producer
    lost = asyncio.get_running_loop().create_future()
    producer._open[lost] = first, time.monotonic()
    failed = asyncio.get_running_loop().create_future()
    failed.set_exception(LeaderNotAvailableError())
    producer._settle(first, lost, failed)

    await delivered(producer, record(topic))

    assert isinstance(lost.exception(), Unavailable)
    assert producer._producer is not first
