"""Fraud models over real payments: a score, a model that is away or slow, and the command."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Iterator
from functools import partial

import pytest

from local_stack.stack import Stack
from testbed.command import Command
from testbed.desk import Desk
from testbed.edge import Customer, Edge
from testbed.stack import joined

PATH = "/api/v1/fraud"
REPORTED_WITHIN_S = 60
PAYMENTS = 10
pytestmark = [pytest.mark.stack, pytest.mark.timeout(240)]


@pytest.fixture(scope="module")
def scored(system: Stack) -> Iterator[Stack]:
    """The system with fraud, which risk asks; without both afterwards."""
    with joined(system, "fraud"):
        yield system


@pytest.fixture(scope="module")
async def edge(scored: Stack) -> AsyncIterator[Edge]:
    edge = Edge(scored.description())
    yield edge
    await edge.close()


async def customer_of(edge: Edge, name: str) -> Customer:
    (customer,) = await edge.open_customers(name, 1, 10_000_000_00)
    return customer


async def factors(countersign: Command, name: str) -> str:
    code, shown = await countersign.json("show", name)
    assert code == 0
    return str(shown)


async def scored_payment(
    edge: Edge, countersign: Command, customer: Customer, names: str, **body: str
) -> str:
    """Pay until the model was in time, as it may not be on a busy machine; return what is shown."""
    for number in range(PAYMENTS):
        payment = f"{names}-{number}"
        await edge.pay(customer, payment, **body)
        if "model_unavailable" not in (shown := await factors(countersign, payment)):
            return shown
    raise AssertionError("the model was never in time")


async def test_a_payment_like_a_fraud_has_the_models_factor_and_an_ordinary_one_has_not(
    edge: Edge, countersign: Command, name: str
):
    customer = await customer_of(edge, name)
    # A payee of its own: the report is remembered against it.
    pay = partial(scored_payment, edge, countersign, customer, to_account=f"payee-{name}")
    assert "fraud_model" not in await pay(f"{name}-usual", amount="50.00")
    # A thousand times the usual amount, once fraud knows by its topic what is usual.
    await reported(edge, customer, f"{name}-usual-0")
    assert "fraud_model" in await pay(f"{name}-large", amount="50000.00")


async def test_a_model_that_hangs_is_unavailable_and_holds_nothing_up(
    scored: Stack, edge: Edge, countersign: Command, name: str
):
    customer = await customer_of(edge, name)
    process = scored.pid("fraud")
    os.kill(process, signal.SIGSTOP)
    try:
        answer = await edge.pay(customer, name, amount="50.00")
    finally:
        os.kill(process, signal.SIGCONT)
    assert answer.json()["status"] in {"SUCCESS", "OTP_REQUIRED"}
    assert "model_unavailable" in await factors(countersign, name)


async def test_the_command_proposes_a_canary_and_takes_it_back(
    edge: Edge, countersign: Command, name: str
):
    _, listed = await countersign.json("fraud", "models")
    shadow = next(one for one in listed["models"] if one["stage"] == "SHADOW")["version"]
    code, proposed = await countersign.json("fraud", "stage", shadow, "canary", "--share", "20")
    assert code == 0
    code, _, error = await countersign("approve", proposed["proposal"], by="bob")
    assert (code, error) == (0, "")
    _, listed = await countersign.json("fraud", "models")
    assert {one["version"]: one["stage"] for one in listed["models"]}[shadow] == "CANARY"

    code, done = await countersign.json("fraud", "roll-back")

    assert (code, done["steps"][0]["version"], done["steps"][0]["stage"]) == (0, shadow, "SHADOW")


async def test_two_people_let_a_model_decide_in_the_console_and_one_takes_it_back(
    scored: Stack, desk: Desk
):
    page, form = desk.page, "form[action^='/models/ensemble']"
    await desk.open("/models")
    await page.sees("Comparison with the live model")
    row = "[...document.querySelectorAll('[aria-labelledby=versions] tbody tr')]"
    shadow = f"{row}.some((one) => /^ensemble/.test(one.innerText) && /shadow/.test(one.innerText))"
    assert await page.evaluate(shadow)
    stages = f"Object.fromEntries({row}.map((one) => [one.innerText.split('-')[0],"
    stages += " one.querySelector('.state:not(.bad)').innerText]))"
    assert await desk.faults() == {}
    await page.evaluate(f'document.querySelector("{form}").share.value = "20"')
    await page.follow(selector=f"{form} button")
    await page.sees("A second person reads it below")
    await page.follow(selector="[aria-labelledby=proposed] a.button")
    await page.sees("Another person has to approve it")
    proposal = await page.evaluate("location.pathname")

    await desk.become("bob")
    await desk.open(proposal)
    assert "CANARY" in await page.text()
    await page.follow(selector="form[action$=approve] button")
    await page.sees("is canary for 20 %")
    await desk.picture("console-models")
    await desk.act(f"{form} button", "Propose live")
    await page.sees("A second person reads it below")
    await desk.act("[aria-labelledby=proposed] a.button", "Read")
    assert "Another person has to approve it" in await page.text()
    proposal = await page.evaluate("location.pathname")

    await desk.become("alice")
    await desk.open(proposal)
    await desk.act("form[action$=approve] button", "Approve")
    await page.sees("is live for 100 %")
    assert await page.evaluate(stages) == {"ensemble": "live", "lightgbm": "retired"}
    assert await desk.faults() == {}
    await desk.act("form[action$=roll-back] button", "Roll back")
    await page.sees("Rolled back: ensemble")
    assert await page.evaluate(stages) == {"ensemble": "retired", "lightgbm": "live"}
    await desk.become("carol")
    await desk.open("/models")
    assert not await page.evaluate("!!document.querySelector('main form')")
    await desk.become("alice")


async def reported(edge: Edge, customer: Customer, transaction_id: str) -> None:
    """Report a payment, once fraud knows it by its topic."""
    body = {
        "customerId": customer.user_id,
        "transactionId": transaction_id,
        "fraudType": "payment_fraud",
    }
    async with asyncio.timeout(REPORTED_WITHIN_S):
        while (  # noqa: ASYNC110 - another process reads the topic
            reply := await edge.operate("POST", f"{PATH}/report", body)
        ).status_code == 404:
            await asyncio.sleep(0.2)
    assert reply.status_code == 200, reply.text


async def test_operators_report_a_fraud_through_the_gateway(edge: Edge, name: str):
    customer = await customer_of(edge, name)
    paid = await edge.pay(customer, name, amount="50.00", to_account=f"payee-{name}")
    assert paid.json()["status"] == "SUCCESS", paid.text

    await reported(edge, customer, name)

    detected = await edge.operate("POST", "/fraud", {"customerId": name, "amount": 5000})
    assert detected.status_code == 200, detected.text
    assert detected.json()["recommendation"] in {"APPROVE", "REVIEW", "BLOCK"}
