"""Rules of compliance over real payments: a code, a decline, an error, and the service away."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Iterator

import pytest

from local_stack.stack import Stack
from testbed.command import Command
from testbed.edge import Customer, Edge
from testbed.stack import joined

pytestmark = [pytest.mark.stack, pytest.mark.timeout(240)]
PATH = "/api/v1/compliance"
RULES = {
    "E_CODE": ("transaction.amount == 71 AND NOT history.payee_known", "REQUIRE_OTP"),
    "E_BLOCK": ("transaction.amount == 72", "BLOCK"),
    "E_BROKEN": ("transaction.amount == 73 AND 1 / (transaction.amount - 73) == 1", "TAG"),
}


@pytest.fixture(scope="module")
def ruled(system: Stack) -> Iterator[Stack]:
    """The system with compliance, which risk asks; without both afterwards."""
    with joined(system, "compliance"):
        yield system


@pytest.fixture(scope="module")
async def rules(ruled: Stack) -> AsyncIterator[Edge]:
    """The edge, after two people have made the rules of these tests."""
    edge = Edge(ruled.description())
    for name, (condition, action) in RULES.items():
        body = {"jurisdiction": "GLOBAL", "condition": condition, "action": action}
        proposed = await edge.operate("PUT", f"{PATH}/rules/{name}", body)
        assert proposed.status_code == 202, proposed.text
        await edge.approve("compliance", proposed.json())
    yield edge
    await edge.close()


async def customer_of(edge: Edge, name: str) -> Customer:
    (customer,) = await edge.open_customers(name, 1, 1_000_000_00)
    return customer


async def test_the_command_lists_and_approves_a_rule(rules: Edge, countersign: Command):
    body = {"jurisdiction": "EU", "condition": "false", "action": "TAG"}
    proposed = (await rules.operate("PUT", f"{PATH}/rules/E_LATER", body)).json()

    _, listed = await countersign.json("proposals")
    code, _, error = await countersign("approve", proposed["proposal"], by="bob")

    assert proposed["proposal"] in str(listed)
    assert (code, error) == (0, "")
    shown = (await rules.operate("GET", f"{PATH}/rules")).json()["rules"]
    assert "E_LATER" in [one["id"] for one in shown]


@pytest.mark.parametrize(
    ("amount", "status", "factor"),
    [
        ("70.00", "SUCCESS", None),
        ("70.01", "OTP_REQUIRED", "rule_E_CODE"),
        ("72.00", "DECLINED", "rule_E_BLOCK"),
        ("73.00", "OTP_REQUIRED", "rule_E_BROKEN_unevaluated"),
    ],
)
async def test_a_rule_decides_about_a_payment(
    rules: Edge,
    countersign: Command,
    *,
    name: str,
    amount: str,
    status: str,
    factor: str | None,
):
    customer = await customer_of(rules, name)

    answer = await rules.pay(customer, name, amount=amount)

    assert answer.json()["status"] == status
    code, shown = await countersign.json("show", name)
    assert code == 0
    assert (factor is None) is ("rule_" not in str(shown))
    assert str(factor or "") in str(shown)


async def test_a_payment_waits_for_rules_that_do_not_respond(ruled: Stack, rules: Edge, name: str):
    customer = await customer_of(rules, name)
    compliance = ruled.pid("compliance")
    os.kill(compliance, signal.SIGSTOP)
    try:
        paying = asyncio.create_task(rules.pay(customer, name))
        # Longer than the rules of a batch may take: the look-up has failed.
        await asyncio.sleep(3)
        waits = await rules.payment(customer, name)
    finally:
        os.kill(compliance, signal.SIGCONT)

    assert waits["status"] == "PENDING"
    await paying
    assert (await rules.until(customer, name))["status"] == "SUCCESS"
