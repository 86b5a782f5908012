"""SIGKILL of every service during payments: none lost, none duplicated, all settled in time."""

import asyncio
import os
import signal
import time
from dataclasses import dataclass, field

import httpx
import pytest

from local_stack.errors import StackError
from local_stack.stack import Stack
from testbed.edge import CODE, Customer, Edge, Outcome

pytestmark = [pytest.mark.stack, pytest.mark.timeout(240)]

VICTIMS = (
    ("gateway", 0), ("confirm", 0), ("risk", 0), ("otp", 0), ("settlement", 0),
    ("notification", 0), ("audit", 0), ("confirm", 1), ("gateway", 1), ("partner_bank", 0),
    ("ofac", 0), ("kyc", 0),
)  # fmt: skip
CUSTOMERS = 200
"""Enough customers to stay well below ten requests a minute each."""
AMOUNT_MINOR = 10_00
OPENING_MINOR = 1_000_000_00
SETTLED_WITHIN_S = 60


@dataclass
class Traffic:
    """A stream of payments with the log of the clients."""

    edge: Edge
    customers: list[Customer]
    run: str
    outcomes: list[Outcome] = field(default_factory=list)
    stopped: bool = False

    async def flow(self, lane: int) -> None:
        """Make payments, every third one with a code, until stopped."""
        number = 0
        while not self.stopped:
            customer = self.customers[(lane * 25 + number) % len(self.customers)]
            number += 1
            outcome = Outcome(f"{self.run}-{lane}-{number}", customer)
            self.outcomes.append(outcome)
            code = number % 3 == 0
            await self._pay(outcome, "5200" if code else "10.00")
            if code:
                await self._pay(outcome, "5200", otp_code=CODE)
            await asyncio.sleep(0.4)

    async def _pay(self, outcome: Outcome, amount: str, **more: str) -> None:
        payee = "payee-known" if amount == "10.00" else "payee-xyz"
        try:
            answer = await self.edge.pay(
                outcome.customer, outcome.transaction_id, amount=amount, to_account=payee, **more
            )
        except httpx.HTTPError:
            outcome.answers.append((0, "unknown"))
        else:
            outcome.answers.append((answer.status_code, answer.text))


async def test_every_service_can_be_killed_during_payments(system: Stack, edge: Edge, name: str):
    customers = await edge.open_customers(name, CUSTOMERS, OPENING_MINOR)
    traffic = Traffic(edge, customers, name)
    lanes = [asyncio.create_task(traffic.flow(lane)) for lane in range(8)]
    await asyncio.sleep(1)
    for service, instance in VICTIMS:
        pid = system.pid(service, instance)
        os.kill(pid, signal.SIGKILL)
        await _restarted(system, service, instance, pid)
    await asyncio.sleep(1)
    traffic.stopped = True
    await asyncio.gather(*lanes)
    await _all_final(edge, traffic)
    await _ledger_is_consistent(edge, traffic)


async def _restarted(system: Stack, service: str, instance: int, old_pid: int) -> None:
    """Wait until the supervisor has restarted the service, at most 10 s."""
    url = system.description().url(service, instance) + "/ready"
    deadline = time.monotonic() + 10
    async with httpx.AsyncClient(timeout=2) as http:
        while time.monotonic() < deadline:
            await asyncio.sleep(0.1)
            try:
                if (await http.get(url)).is_success and system.pid(service, instance) != old_pid:
                    return
            except (httpx.HTTPError, StackError):
                continue
    pytest.fail(f"{service} {instance} was not back within 10 s")


async def _all_final(edge: Edge, traffic: Traffic) -> None:
    """Every acknowledged payment is final and settled within a minute."""
    deadline = time.monotonic() + SETTLED_WITHIN_S
    waiting = [outcome for outcome in traffic.outcomes if outcome.acknowledged]
    assert len(waiting) > len(traffic.outcomes) // 2
    while waiting and time.monotonic() < deadline:
        states = [(o, await edge.payment(o.customer, o.transaction_id)) for o in waiting]
        waiting = [outcome for outcome, state in states if not _is_final(outcome, state)]
        await asyncio.sleep(0.2)
    assert not waiting, [(o.transaction_id, o.answers) for o in waiting[:5]]


def _is_final(outcome: Outcome, state: dict[str, str]) -> bool:
    # After a 202 to the first call, a payment with a code waits for its customer.
    told_success = any(status == 200 for status, _ in outcome.answers)
    if not told_success and state.get("status") == "OTP_REQUIRED":
        return True
    return state.get("settlement_status") == "SETTLED" or state.get("status") == "DECLINED"


async def _ledger_is_consistent(edge: Edge, traffic: Traffic) -> None:
    """The ledger is consistent with itself, the clients and the partner."""
    found = await edge.admin("confirm", "/check", unfinished_after_s=0)
    assert found["violations"] == []
    booked: dict[str, int] = {}
    for entry in await edge.statement():
        booked[entry["end_to_end_id"]] = booked.get(entry["end_to_end_id"], 0) + 1
    spent = dict.fromkeys((c.account for c in traffic.customers), 0)
    for outcome in traffic.outcomes:
        state = await edge.payment(outcome.customer, outcome.transaction_id)
        settled = state.get("settlement_status") == "SETTLED"
        assert booked.get(outcome.transaction_id, 0) == settled, (outcome, state)
        if any(status == 200 for status, _ in outcome.answers):
            assert settled, (outcome, state)
        if settled:
            spent[outcome.customer.account] += int(state["amount"].replace(".", ""))
    listed = await edge.admin("confirm", "/accounts", prefix=traffic.run, limit=1000)
    left = {account["id"]: account["balance_minor"] for account in listed["accounts"]}
    assert left == {name: OPENING_MINOR - minor for name, minor in spent.items()}
