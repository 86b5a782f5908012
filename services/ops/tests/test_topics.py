"""Reading of topics without a group: a consumer is stopped at once, whatever it does meanwhile."""

import asyncio

from aiokafka import TopicPartition

from ops.clients import topics
from service_runtime.brokers import Brokers

PLACE = TopicPartition("payment-dlq", 0)


class IdleConsumer:
    """A consumer whose stop waits for a task that has lost its cancellation, as aiokafka's can."""

    def __init__(self, **_arguments):
        self.assigned = []
        self.is_stopped = False

    def assign(self, partitions):
        self.assigned.append(partitions)

    async def start(self):
        pass

    async def stop(self):
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.is_stopped = True


async def test_topics_without_records_are_read_without_a_new_assignment():
    consumer = IdleConsumer()
    assert [one async for one in topics.records_in(consumer, {PLACE: (7, 7)})] == []
    assert consumer.assigned == []


async def test_a_consumer_that_does_not_stop_is_ended(monkeypatch):
    monkeypatch.setattr(topics, "AIOKafkaConsumer", IdleConsumer)
    monkeypatch.setattr(topics, "STOP_WITHIN_S", 0.01)
    async with asyncio.timeout(5), topics.reader(Brokers("127.0.0.1:1")) as consumer:
        pass
    assert consumer.is_stopped
