"""Commands and replies on real Kafka: matched by request, bounded, 503 only before sending."""

import asyncio
from contextlib import asynccontextmanager
from datetime import timedelta
from uuid import uuid4

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from gateway.clients.confirmation import Answers, KafkaConfirmation
from local_stack.topics import load_topics
from payment_schemas.answers import Answer
from payment_schemas.events.confirmation import ConfirmAnswered, ConfirmRequested
from service_runtime.clock import SystemClock
from service_runtime.errors import Rejected, Unavailable
from service_runtime.keys import KeyRing
from service_runtime.message_macs import MessageMacs
from service_runtime.messages import Cause, Emit, ProducerRecord
from service_runtime.process import HTTP_DRAIN_S
from service_runtime.producer import KafkaProducer
from testkit.events import event_of

pytestmark = pytest.mark.stack
CLOCK = SystemClock()
MACS = MessageMacs()
MACS.add(KeyRing(b"k" * 32), [ConfirmRequested, ConfirmAnswered])
PROMISE = timedelta(minutes=15)
TRACE = (("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),)


def command():
    return event_of(ConfirmRequested, request_id=uuid4(), sealed_code=None)


def answer_to(asked, partition, **fields):
    made = {"request_id": asked.request_id, "reply_partition": partition, **fields}
    event = event_of(ConfirmAnswered, **made)
    return Emit(event, Cause(asked.request_id)).outgoing("confirm", CLOCK.now())


@pytest.fixture
async def producer(infrastructure):
    async with KafkaProducer(infrastructure.brokers, "test", MACS) as made:
        yield made


@asynccontextmanager
async def gateway(infrastructure, producer, instance=0, most_waiting=100):
    """A gateway's connection to confirm, with its loop running."""
    stopping = asyncio.Event()
    async with Answers(infrastructure.brokers, instance, MACS) as answers:
        loop = asyncio.create_task(answers.run(stopping))
        yield KafkaConfirmation(producer, answers, CLOCK, most_waiting, PROMISE), answers
        stopping.set()
        await loop


@asynccontextmanager
async def commands(infrastructure):
    """A consumer of the commands from now on."""
    topic = ConfirmRequested.topic
    consumer = AIOKafkaConsumer(**infrastructure.brokers.arguments, enable_auto_commit=False)
    await consumer.start()
    try:
        described = next(one for one in load_topics() if one.name == topic)
        partitions = [TopicPartition(topic, n) for n in range(described.partitions)]
        consumer.assign(partitions)
        await consumer.seek_to_end()
        for partition in partitions:
            await consumer.position(partition)
        yield consumer
    finally:
        await consumer.stop()


async def until_waiting(answers, count=1):
    async with asyncio.timeout(10):
        while True:
            if answers.waiting >= count:
                return
            await asyncio.sleep(0.01)


async def sent(producer, *records):
    for record in records:
        await (await producer.send(record))


async def test_a_reply_reaches_its_request(infrastructure, producer):
    async with (
        commands(infrastructure) as topic,
        gateway(infrastructure, producer, instance=37) as (confirmation, answers),
    ):
        asked = command()
        waiting = asyncio.create_task(confirmation.ask(asked, TRACE, 10))
        record = await asyncio.wait_for(topic.getone(), 10)
        read = ConfirmRequested.model_validate_json(record.value)
        headers = dict(record.headers)

        assert read.expires_at is not None
        assert timedelta(0) <= CLOCK.now() + PROMISE - read.expires_at < timedelta(seconds=10)
        filled_in = {"reply_partition": 5, "expires_at": read.expires_at}
        assert read == asked.model_copy(update=filled_in)
        assert headers["traceparent"].decode() == TRACE[0][1]
        assert record.key == b"usr-456\x1fabc-123"

        foreign = answer_to(command(), 5, body="another gateway's")
        garbage = ProducerRecord(ConfirmAnswered.topic, b"k", b"\xff\xfe", (), 5)
        empty = ProducerRecord(ConfirmAnswered.topic, b"k", None, (), 5)
        mine = answer_to(asked, 5, status=403, body="{}", headers=(("Retry-After", "1"),))
        again = answer_to(asked, 5, status=200)
        await sent(producer, foreign, garbage, empty, mine, again)

        assert await waiting == Answer(403, "{}", (("Retry-After", "1"),))
        assert answers.waiting == 0


async def test_a_forged_reply_is_skipped(infrastructure, producer):
    async with (
        KafkaProducer(infrastructure.brokers, "forger") as forger,
        gateway(infrastructure, producer, instance=21) as (confirmation, answers),
    ):
        asked = command()
        waiting = asyncio.create_task(confirmation.ask(asked, (), 10))
        await until_waiting(answers)
        await sent(forger, answer_to(asked, 21, status=200, body="forged"))
        await sent(producer, answer_to(asked, 21, status=403, body="true"))
        assert (await waiting).body == "true"


async def test_replies_may_arrive_in_any_order(infrastructure, producer):
    async with gateway(infrastructure, producer, instance=1) as (confirmation, answers):
        asked = [command() for _ in range(20)]
        waiting = [asyncio.create_task(confirmation.ask(one, (), 10)) for one in asked]
        await until_waiting(answers, 20)
        await sent(producer, *[answer_to(one, 1, body=str(one.request_id)) for one in asked[::-1]])

        got = await asyncio.gather(*waiting)

    assert [answer.body for answer in got] == [str(one.request_id) for one in asked]


async def test_a_reply_on_another_partition_is_not_read(infrastructure, producer):
    async with gateway(infrastructure, producer, instance=2) as (confirmation, answers):
        asked = command()
        waiting = asyncio.create_task(confirmation.ask(asked, (), 1))
        await until_waiting(answers)
        await sent(producer, answer_to(asked, 3))

        assert await waiting is None


async def test_replies_from_before_the_start_are_not_read(infrastructure, producer):
    asked = command()
    await sent(producer, answer_to(asked, 4, body="old"))

    async with gateway(infrastructure, producer, instance=4) as (confirmation, _):
        assert await confirmation.ask(asked, (), 0.5) is None


async def test_after_the_deadline_no_request_waits(infrastructure, producer):
    async with gateway(infrastructure, producer, instance=6) as (confirmation, answers):
        started = asyncio.get_running_loop().time()

        assert await confirmation.ask(command(), (), 0.3) is None

        assert asyncio.get_running_loop().time() - started < 1
        assert answers.waiting == 0


async def test_a_stopping_gateway_ends_its_waiting_requests_before_the_server_does(
    infrastructure, producer
):
    stopping = asyncio.Event()
    async with Answers(infrastructure.brokers, 11, MACS) as answers:
        loop = asyncio.create_task(answers.run(stopping))
        confirmation = KafkaConfirmation(producer, answers, CLOCK, 100, PROMISE)
        early = asyncio.create_task(confirmation.ask(command(), (), 60))
        await until_waiting(answers)
        stopping.set()
        async with asyncio.timeout(HTTP_DRAIN_S):
            assert await early is None
            await loop
            assert await confirmation.ask(command(), (), 60) is None
        assert answers.waiting == 0


async def test_a_stopping_gateway_still_returns_replies_that_arrive_in_time(
    infrastructure, producer
):
    stopping, asked = asyncio.Event(), command()
    async with Answers(infrastructure.brokers, 12, MACS) as answers:
        loop = asyncio.create_task(answers.run(stopping))
        confirmation = KafkaConfirmation(producer, answers, CLOCK, 100, PROMISE)
        waiting = asyncio.create_task(confirmation.ask(asked, (), 60))
        await until_waiting(answers)
        stopping.set()
        await sent(producer, answer_to(asked, 12, body="in time"))
        answer = await asyncio.wait_for(waiting, HTTP_DRAIN_S)
        await loop
    assert answer is not None
    assert answer.body == "in time"


async def test_over_the_limit_of_waiting_requests_nothing_is_sent(infrastructure, producer):
    async with (
        commands(infrastructure) as topic,
        gateway(infrastructure, producer, 7, most_waiting=1) as (confirmation, answers),
    ):
        first, second = command(), command()
        waiting = asyncio.create_task(confirmation.ask(first, (), 1))
        await until_waiting(answers)

        with pytest.raises(Unavailable):
            await confirmation.ask(second, (), 1)
        await waiting

        found = await topic.getmany(timeout_ms=500)
        read = [r.value for records in found.values() for r in records]
        assert len(read) == 1
        assert str(first.request_id).encode() in read[0]


async def test_without_a_started_producer_nothing_was_sent(infrastructure):
    idle = KafkaProducer(infrastructure.brokers, "idle")

    async with gateway(infrastructure, idle, 8) as (confirmation, answers):
        with pytest.raises(Unavailable, match="no broker"):
            await confirmation.ask(command(), (), 1)
        assert answers.waiting == 0


class Failing(KafkaProducer):
    """A real producer whose first records fail at the broker with these errors."""

    def __init__(self, brokers, *errors):
        super().__init__(brokers, "failing", MACS)
        self.errors = list(errors)

    async def send(self, outgoing):
        if not self.errors:
            return await super().send(outgoing)
        failed = asyncio.get_running_loop().create_future()
        failed.set_exception(self.errors.pop(0))
        return failed


async def test_a_command_that_was_lost_with_its_producer_is_published_again(infrastructure):
    async with (
        commands(infrastructure) as topic,
        Failing(infrastructure.brokers, Unavailable("out of sequence")) as producer,
        gateway(infrastructure, producer, 13) as (confirmation, _),
    ):
        asked = command()
        waiting = asyncio.create_task(confirmation.ask(asked, (), 5))
        record = await asyncio.wait_for(topic.getone(), 5)
        await sent(producer, answer_to(asked, 13, body="done"))

        assert str(asked.request_id).encode() in record.value
        assert (await waiting).body == "done"


async def test_a_command_that_the_broker_refuses_is_unavailable(infrastructure):
    async with (
        Failing(infrastructure.brokers, Rejected("too large")) as producer,
        gateway(infrastructure, producer, 14) as (confirmation, answers),
    ):
        with pytest.raises(Unavailable):
            await confirmation.ask(command(), (), 5)
        assert answers.waiting == 0


async def test_a_partition_without_a_leader_is_unavailable_for_its_commands_only(
    infrastructure, producer, monkeypatch
):
    async with gateway(infrastructure, producer, 15) as (confirmation, _):
        cluster = producer._producer.client.cluster
        monkeypatch.setattr(cluster, "leader_for_partition", lambda _partition: -1)
        with pytest.raises(Unavailable):
            await confirmation.ask(command(), (), 5)
        assert await producer.connected()

        monkeypatch.undo()
        assert await confirmation.ask(command(), (), 0.3) is None


async def test_the_gateway_is_ready_once_the_end_of_its_partition_is_known(infrastructure):
    answers = Answers(infrastructure.brokers, 9, MACS)
    assert not await answers.ready()

    async with answers:
        assert await answers.ready()


async def test_replies_cannot_be_read_before_the_start(infrastructure):
    with pytest.raises(Unavailable):
        await Answers(infrastructure.brokers, 10, MACS).run(asyncio.Event())
