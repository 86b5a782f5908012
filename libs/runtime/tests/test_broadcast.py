"""A broadcast on real Kafka: from the end on, by key, and never silently past missing records."""

import asyncio
from uuid import uuid4

import pytest
from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete

from payment_schemas.registry import BY_TYPE
from service_runtime.broadcast import Broadcast
from service_runtime.settings import HttpSettings
from testbed.probe_process import PARTITIONS, make_topics
from testbed.service import publish
from testkit.probe import numbered_on

pytestmark = pytest.mark.stack
NO_KEYS = HttpSettings(port=1, profile="dev")


class Listener(Broadcast):
    """Keeps what it is passed; wants the records of some lanes."""

    def __init__(self, brokers, event, lanes):
        super().__init__(brokers, event, lambda one: self.numbers.append(one.number))
        self.lanes, self.numbers, self.gaps = lanes, [], 0

    def wants(self, key):
        return key.decode() in self.lanes

    def missed(self):
        self.gaps += 1

    async def until(self, condition):
        async with asyncio.timeout(10):
            while not condition():
                await self.poll()


@pytest.fixture
async def event(infrastructure):
    topic = f"probe.{uuid4().hex}.v1"
    await make_topics(infrastructure.brokers, topic)
    yield numbered_on(topic)
    BY_TYPE.pop(topic)


async def publish_on(infrastructure, *events):
    await publish(infrastructure.brokers, NO_KEYS, *events)


async def test_a_broadcast_passes_on_what_came_after_its_start_and_what_it_wants(
    infrastructure, event
):
    await publish_on(infrastructure, event(lane="a", number=1))
    async with Listener(infrastructure.brokers, event, "a") as listener:
        await publish_on(infrastructure, event(lane="b", number=2), event(lane="a", number=3))
        await listener.until(lambda: listener.numbers)

        assert listener.numbers == [3]
        assert listener.is_current
        assert listener.gaps == 0


async def test_records_that_were_deleted_unread_are_noticed_and_reading_goes_on(
    infrastructure, event
):
    async with Listener(infrastructure.brokers, event, "a") as listener:
        # Without a poll, the client holds the first record and fetches no further one.
        await publish_on(infrastructure, event(lane="a", number=1))
        await asyncio.sleep(0.5)
        await publish_on(infrastructure, *(event(lane="a", number=number) for number in (2, 3)))
        await _delete_all(infrastructure, event.topic)
        await listener.until(lambda: listener.gaps)
        await publish_on(infrastructure, event(lane="a", number=4))
        await listener.until(lambda: 4 in listener.numbers)

    assert listener.numbers == [1, 4]


async def _delete_all(infrastructure, topic):
    admin = AIOKafkaAdminClient(**infrastructure.brokers.arguments)
    await admin.start()
    try:
        everything = RecordsToDelete(-1)
        partitions = [TopicPartition(topic, number) for number in range(PARTITIONS)]
        await admin.delete_records(dict.fromkeys(partitions, everything))
    finally:
        await admin.close()
