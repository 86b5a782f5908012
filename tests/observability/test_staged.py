"""Each alert fires in the situation that it is for, and resolves when that has passed.

The rules are the real ones, generated with shorter windows; the real windows are promtool's part.
"""

import asyncio

import pytest
from aiokafka import AIOKafkaProducer
from faults import Faults
from traffic import Traffic

pytestmark = [pytest.mark.observability, pytest.mark.timeout(600)]


async def _until(observed, alert, act, *, within_s=240, **labels):
    """Repeat an act until the alert fires."""
    async with asyncio.timeout(within_s):
        while not observed.fires(alert, **labels):
            await act()


def test_a_collector_that_is_away(observed):
    observed.stack.stop_process("collector")
    observed.await_alert("CollectorDown")
    observed.stack.start_process("collector")
    observed.await_calm("CollectorDown")


async def test_a_killed_service_and_the_lag_that_it_leaves(observed, edge, name):
    traffic = Traffic(edge, name)
    # Lag is counted from where a group has last been; audit must have been somewhere.
    await traffic.drive(5)
    observed.stack.stop_process("audit")
    observed.await_alert("ServiceDown", service_name="audit")
    await _until(observed, "KafkaConsumerGroupEmpty", traffic.round, group="audit")
    await _until(observed, "KafkaConsumerLag", traffic.round, group="audit")
    observed.stack.start_process("audit")
    observed.await_calm("ServiceDown")
    observed.await_calm("KafkaConsumerGroupEmpty")
    observed.await_calm("KafkaConsumerLag")


async def test_a_dead_letter(observed):
    async with AIOKafkaProducer(bootstrap_servers=observed.stack.kafka) as producer:
        await producer.send_and_wait("settlement-queue", b"not an event")
    observed.await_alert("DeadLetters", topic="settlement-queue-dlq")
    observed.await_calm("DeadLetters")


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
