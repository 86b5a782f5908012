"""Each alert fires for its fault, and resolves after it.

The rules are generated with shorter windows; promtool tests the real windows.
"""

import asyncio
import itertools

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from faults import Faults
from traffic import WRONG_CODE, Traffic

pytestmark = [pytest.mark.observability, pytest.mark.timeout(600)]

GUESSES = 5
REPEATED = 1500
"""More than the tolerated lag."""


async def _until(observed, alert, act, *, within_s=240, **labels):
    """Repeat an action until the alert fires."""
    async with asyncio.timeout(within_s):
        while not observed.fires(alert, **labels):
            await act()


def test_a_collector_that_is_down(observed):
    observed.stack.stop_process("collector")
    observed.await_alert("CollectorDown")
    observed.stack.start_process("collector")
    observed.await_calm("CollectorDown")


async def test_a_killed_service_and_the_lag_that_it_leaves(observed, edge, name):
    traffic = Traffic(edge, name)
    # Lag counts from the committed offset, so audit must have committed one.
    await traffic.drive(5)
    observed.stack.stop_process("audit")
    observed.await_alert("ServiceDown", service_name="audit")
    observed.await_alert("InstanceDown", service_name="audit")
    await _until(observed, "KafkaConsumerGroupEmpty", traffic.round, group="audit")
    await _repeat(observed.stack.brokers, "notification.delivered.v1", REPEATED)
    observed.await_alert("KafkaConsumerLag", group="audit")
    observed.stack.start_process("audit")
    observed.await_calm("ServiceDown")
    observed.await_calm("InstanceDown")
    observed.await_calm("KafkaConsumerGroupEmpty")
    observed.await_calm("KafkaConsumerLag")


async def _repeat(brokers, topic, times):
    """Send a handled record again several times: work without an effect."""
    async with AIOKafkaConsumer(
        topic, **brokers.arguments, auto_offset_reset="earliest"
    ) as consumer:
        async with asyncio.timeout(60):
            record = await consumer.getone()
    async with AIOKafkaProducer(**brokers.arguments) as producer:
        for _ in range(times):
            await producer.send(topic, record.value, record.key, headers=list(record.headers))


async def test_a_partner_that_is_down(observed, edge, name):
    traffic = Traffic(edge, name)
    async with Faults(observed, "partner_bank", "down"):
        await _until(observed, "DependencyBreakerOpen", traffic.round, service_name="settlement")
        await _until(observed, "SettlementBacklog", traffic.round)
    observed.await_calm("DependencyBreakerOpen", within_s=240)
    observed.await_calm("SettlementBacklog", within_s=240)


async def test_payments_that_cannot_be_decided(observed, edge, name):
    async with Faults(observed, "ofac", "down"):
        (customer,) = await edge.open_customers(name, 1, 50_000_00)
        payments = [edge.pay(customer, f"{name}-{number}") for number in range(8)]
        assert {answer.status_code for answer in await asyncio.gather(*payments)} == {202}
        observed.await_alert("PaymentsFailing")
    observed.await_calm("PaymentsFailing")
    observed.await_calm("DependencyBreakerOpen", within_s=240)


async def test_faults_that_do_not_touch_each_other(observed, edge, name):
    """Dead letters, gateways without Redis and guessed codes, concurrently to save time."""
    async with asyncio.TaskGroup() as together:
        together.create_task(_a_dead_letter(observed))
        together.create_task(_gateways_that_count_without_redis(observed, edge, f"{name}r"))
        together.create_task(_codes_that_are_guessed(observed, edge, f"{name}c"))


async def _a_dead_letter(observed):
    async with AIOKafkaProducer(**observed.stack.brokers.arguments) as producer:
        await producer.send_and_wait("settlement-queue", b"not an event")
    await asyncio.to_thread(observed.await_alert, "DeadLetters", topic="settlement-queue-dlq")
    await asyncio.to_thread(observed.await_calm, "DeadLetters")


async def _gateways_that_count_without_redis(observed, edge, name):
    observed.stack.stop_process("redis")
    await _until(observed, "RateLimiterWithoutRedis", Traffic(edge, name).round)
    observed.stack.start_process("redis")
    await asyncio.to_thread(observed.await_calm, "RateLimiterWithoutRedis")


async def _codes_that_are_guessed(observed, edge, name):
    numbers = itertools.count()

    async def guess():
        customers = await edge.open_customers(f"{name}-{next(numbers)}", 4, 50_000_00)
        await asyncio.gather(*[_guess(edge, customer) for customer in customers])

    await _until(observed, "CodesFailing", guess)
    await asyncio.to_thread(observed.await_calm, "CodesFailing")


async def _guess(edge, customer):
    """Request a code, and send as many wrong ones as a challenge allows."""
    large = {"amount": "5200.00", "to_account": "payee-xyz"}
    await edge.pay(customer, customer.account, **large)
    for _ in range(GUESSES):
        await edge.pay(customer, customer.account, **large, otp_code=WRONG_CODE)
