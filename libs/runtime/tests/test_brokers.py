"""A client that the broker refuses says why: principal, operation, topic or group, remedy."""

import asyncio
import contextlib
import logging
from dataclasses import replace

import pytest
from aiokafka.errors import TopicAuthorizationFailedError

from kafka_access.rules import Right
from local_stack.access import apply_access
from local_stack.admin import run_admin
from local_stack.inventory import load_inventory
from local_stack.rights import rights
from service_runtime.errors import Rejected
from service_runtime.kafka import KafkaSource
from service_runtime.messages import ProducerRecord
from service_runtime.positions import Positions
from service_runtime.producer import KafkaProducer
from service_runtime.settings import ServiceSettings
from testbed.service import kafka_fields

pytestmark = pytest.mark.stack

OF_CONFIRM = "settlement-queue"
INVENTORY = load_inventory()


@pytest.fixture
def refusals(caplog):
    """The fields of each line `broker_refuses`."""
    caplog.set_level(logging.ERROR, "countersign")
    return lambda: [one.fields for one in caplog.records if one.msg == "broker_refuses"]


@pytest.fixture
def source_as(infrastructure, tmp_path, memory):
    """Make the consumer of a principal."""
    (tmp_path / "database").write_text("unused")

    def source(principal, group, topic):
        unused = {"database_url": "", "DATABASE_PASSWORD_FILE": str(tmp_path / "database")}
        settings = ServiceSettings(port=1, **unused, **kafka_fields(infrastructure, principal))
        return KafkaSource(settings, group, [topic], Positions(memory, group))

    return source


async def test_a_refused_login_is_explained_once(infrastructure, refusals):
    producer = KafkaProducer(replace(infrastructure.brokers, password="wrong"), "test")
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(1.5):
            await producer.__aenter__()
    (line,) = refusals()
    assert (line["principal"], line["operation"]) == ("admin", "AUTHENTICATE")
    assert "KAFKA_PASSWORD_FILE" in line["remedy"]
    assert not await producer.connected()


async def test_a_topic_that_a_producer_may_not_see_is_named(infrastructure, refusals):
    async with KafkaProducer(infrastructure.brokers_as("notification"), "test") as producer:
        for _ in range(2):
            with pytest.raises(TopicAuthorizationFailedError):
                await producer.send(ProducerRecord(OF_CONFIRM, b"key", b"{}", (), 0))
        assert not await producer.connected()
    (line,) = refusals()
    assert {**line, "remedy": ""} == {
        "principal": "notification",
        "operation": "WRITE",
        "topic": OF_CONFIRM,
        "error_class": "TopicAuthorizationFailedError",
        "remedy": "",
    }


async def test_a_topic_that_a_producer_may_only_read_is_named(infrastructure, refusals):
    async with KafkaProducer(infrastructure.brokers_as("audit"), "test") as producer:
        with pytest.raises(Rejected, match="TopicAuthorizationFailed"):
            await (await producer.send(ProducerRecord(OF_CONFIRM, b"key", b"{}", (), 0)))
        assert not await producer.connected()
    assert [(one["principal"], one["topic"]) for one in refusals()] == [("audit", OF_CONFIRM)]


@pytest.mark.parametrize(
    ("group", "topic"),
    [
        pytest.param("risk", OF_CONFIRM, id="a topic of others"),
        pytest.param("confirm", "payment.confirmed.v1", id="a group of others"),
    ],
)
async def test_a_consumer_that_may_not_read_says_what_and_joins_once_it_may(
    infrastructure, source_as, refusals, group, topic
):
    source = source_as("risk", group, topic)
    starting = asyncio.create_task(source.__aenter__())
    async with asyncio.timeout(20):
        while not refusals():  # noqa: ASYNC110 - a log sets no event
            await asyncio.sleep(0.1)
        assert not await source.assigned()
        rules = {Right("risk", "topic", topic, "READ"), Right("risk", "group", group, "READ")}
        await apply(infrastructure, rights(INVENTORY) | rules)
        try:
            await starting
            assert await source.poll(1, 0.1) is not None
            assert await source.assigned()
        finally:
            await source.__aexit__()
            await apply(infrastructure, rights(INVENTORY))
    (line,) = refusals()
    refused = OF_CONFIRM if topic == OF_CONFIRM else group
    assert (line["principal"], line["operation"], line["topic"]) == ("risk", "READ", refused)


async def apply(infrastructure, wanted):
    passwords = infrastructure.credentials.kafka_passwords(INVENTORY)
    await run_admin(infrastructure.brokers, lambda admin: apply_access(admin, passwords, wanted))
