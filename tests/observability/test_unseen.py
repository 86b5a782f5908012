"""Canaries: planted secrets are in no trace, metric, log line or topic."""

import asyncio
import json

import httpx
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from traces import JaegerTrace

from testbed.canaries import PHONE, leaks, metrics, plant, records

pytestmark = [pytest.mark.observability, pytest.mark.timeout(420)]

SEEN_WITHIN_S = 120


@pytest.fixture(scope="module")
async def customer(observed, edge):
    """A customer with a planted number, code and token; one of their events is refused."""
    found = await plant(observed.stack.description(), edge, "canary")
    await misdirect(observed.stack.brokers, "otp.challenged.v1", "settlement-queue")
    return found


async def misdirect(brokers, topic, to):
    """Publish the last record of a topic to another topic, whose consumer refuses it."""
    async with AIOKafkaConsumer(
        topic, **brokers.arguments, auto_offset_reset="earliest"
    ) as consumer:
        async with asyncio.timeout(SEEN_WITHIN_S):
            record = await consumer.getone()
    async with AIOKafkaProducer(**brokers.arguments) as producer:
        await producer.send_and_wait(to, record.value, record.key, headers=list(record.headers))


async def dead_letters(running):
    """Wait for the dead letter of the refused record; return all topics."""
    async with asyncio.timeout(SEEN_WITHIN_S):
        while True:
            found = await records(running)
            if found["settlement-queue-dlq"]:
                return found


def has_message_span(observed):
    """Return whether Jaeger has the span of the message with the code."""
    hops = (hop for trace in observed.traces("notification") for hop in JaegerTrace(trace).hops)
    return "notification POST twilio" in {name for _, name in hops}


def traces(observed):
    """Return all traces of every service from Jaeger."""
    return {
        f"traces of {one}": json.dumps(observed.traces(one, limit=1000)).encode()
        for one in observed.services()
    }


def series(observed):
    """Return all names, labels and exemplars of Prometheus."""
    asked = {"match[]": '{__name__=~".+"}'}
    answer = httpx.get(f"{observed.prometheus.url}/api/v1/series", params=asked, timeout=60)
    return {"series": answer.raise_for_status().content}


async def test_no_planted_secret_is_visible(observed, customer):
    running = observed.stack.description()
    places = await dead_letters(running) | await metrics(running) | series(observed)
    await observed.seen(lambda: has_message_span(observed))
    await observed.seen(lambda: b"dead_letter" in observed.log_lines())
    places |= traces(observed)
    places |= {path.name: path.read_bytes() for path in observed.stack.layout.logs.glob("*")}
    assert leaks(running, customer, places) == set()


async def test_a_visible_secret_would_be_found(observed, customer):
    places = {"somewhere": f"text to {PHONE}".encode()}
    assert leaks(observed.stack.description(), customer, places) == {"phone in somewhere"}
