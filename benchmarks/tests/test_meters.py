"""Counters, read from the real broker and database."""

import asyncio

import pytest
from aiokafka import AIOKafkaProducer

from bench.meters import lag, read_counts
from bench.system import System
from local_stack.stack import Stack
from service_runtime.brokers import Brokers

pytestmark = [pytest.mark.stack]
TOPIC = "settlement-queue"


@pytest.mark.native  # the broker's files are measured
def test_new_records_are_counted_and_are_lag(stack: Stack):
    system = System(stack, print)
    before, behind = read_counts(system), lag(system, ["settlement", "otp"])
    asyncio.run(_publish(stack.brokers, 7))
    counts = read_counts(system).since(before)
    assert {name: count for name, count in counts.records.items() if count} == {TOPIC: 7}
    assert counts.topic_bytes > 7 * 100
    assert lag(system, ["settlement", "otp"]) == {
        "settlement": behind["settlement"] + 7,
        "otp": behind["otp"],
    }


async def _publish(brokers: Brokers, count: int) -> None:
    async with AIOKafkaProducer(**brokers.arguments) as producer:
        for _ in range(count):
            await producer.send_and_wait(TOPIC, b"x" * 100)
