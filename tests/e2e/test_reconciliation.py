"""Wrong statements of a bank are found, and people close the cases."""

import asyncio
import json
from datetime import UTC, datetime
from uuid import uuid4

import pytest

from local_stack.stack import Stack
from testbed.command import Command
from testbed.edge import Edge

pytestmark = pytest.mark.stack

PARTNER = "north-bank"
PAYMENTS = 6


async def settled(edge: Edge, name: str):
    """Make payments at the partner and wait until they are settled."""
    (customer,) = await edge.open_customers(name, 1, 1_000_000_00)
    for number in range(PAYMENTS):
        answer = await edge.pay(
            customer, f"{name}-{number}", amount="10.00", to_account=f"north-{name}"
        )
        assert answer.status_code == 200, answer.text
    async with asyncio.timeout(30):
        while True:
            states = [await edge.payment(customer, f"{name}-{n}") for n in range(PAYMENTS)]
            if all(state["settlement_status"] == "SETTLED" for state in states):
                return
            await asyncio.sleep(0.2)


async def set_fault(edge: Edge, system: Stack, kind: str):
    url = system.description().url("partner_bank") + "/faults"
    assert (await edge.http.put(url, json={"kind": kind})).status_code == 200


async def test_each_kind_of_wrong_statement_is_found(
    countersign: Command, system: Stack, edge: Edge, name: str
):
    faults = system.description().url("partner_bank") + "/faults"
    await settled(edge, name)
    today = datetime.now(UTC).date().isoformat()
    order = ("reconcile", "--partner", PARTNER, "--date", today)
    try:
        await set_fault(edge, system, "omit_from_statement")
        status, report = await countersign.json(*order)
        assert (status, report["matched"]) == (1, 0)
        assert report["missing_there"] >= PAYMENTS
        assert report["cases_opened"] == report["missing_there"]
        await edge.http.delete(faults)

        await set_fault(edge, system, "wrong_amount_on_statement")
        status, report = await countersign.json(*order)
        assert (status, report["matched"], report["missing_there"]) == (1, 0, 0)
        assert report["amount_differs"] == report["cases_opened"] >= PAYMENTS
    finally:
        await edge.http.delete(faults)
    status, report = await countersign.json(*order)
    assert (status, report["breaks"]) == (0, [])
    assert report["matched"] >= PAYMENTS
    assert report["cases_closed"] >= PAYMENTS
    resolved = ("cases", "list", "--limit", "1000", "--status", "RESOLVED")
    _, closed = await countersign.json(*resolved)
    # People close cases in other tests.
    by_itself = [
        one for one in closed if (one["partner"], one["resolved_by"]) == (PARTNER, "settlement")
    ]
    assert {one["kind"] for one in by_itself} == {"MISSING_THERE", "AMOUNT_DIFFERS"}


async def test_a_double_booking_on_two_pages_is_found_and_a_person_closes_its_case(
    countersign: Command, system: Stack, edge: Edge, name: str
):
    await settled(edge, name)
    today = datetime.now(UTC).date().isoformat()
    order = ("reconcile", "--partner", PARTNER, "--date", today)
    try:
        await set_fault(edge, system, "twice_on_statement")
        status, report = await countersign.json(*order)
    finally:
        await edge.http.delete(system.description().url("partner_bank") + "/faults")
    assert (status, report["matched"] >= PAYMENTS) == (1, True)
    assert report["missing_here"] == report["cases_opened"] >= PAYMENTS
    _, listed = await countersign.json("cases", "list", "--limit", "1000")
    case = next(one for one in listed if one["partner"] == PARTNER)
    assert case["details"] == "booked there 2 times"
    resolve = ("cases", "resolve", case["id"], "--note", "their statement was late")
    status, why = await countersign.json(*resolve, "--outcome", "SETTLE")
    assert (status, "only EXPLAINED is left" in why) == (1, True)
    status, reported = await countersign.json(*resolve, "--outcome", "EXPLAINED")
    assert (status, reported["status"]) == (0, "RESOLVED")
    status, shown = await countersign.json("cases", "show", case["id"])
    alice = f"{system.description().url('issuer')}|alice"
    assert (status, shown["resolved_by"]) == (0, alice)
    status, why = await countersign.json("cases", "show", "7")
    assert (status, "case_id" in why) == (1, True)
    status, why = await countersign.json("reconcile", "--partner", "no-bank", "--date", today)
    assert (status, "partner" in why) == (1, True)


async def move_without_payment(edge: Edge, system: Stack, uetr: str):
    """Make first-bank move money without a payment."""
    secret = json.loads(system.credentials.read("partner-credentials"))["first-bank"]
    transfer = {
        "uetr": uetr,
        "end_to_end_id": "unknown",
        "amount": "5.00",
        "currency": "USD",
        "debtor_account": "acc-1",
        "creditor_account": "payee-xyz",
    }
    url = system.description().url("partner_bank") + "/banks/first-bank/transfers"
    headers = {"Authorization": f"Bearer {secret}", "Idempotency-Key": uetr}
    assert (await edge.http.post(url, json=transfer, headers=headers)).status_code == 201


async def test_a_movement_without_a_payment_is_a_violation_until_people_resolve_its_case(
    countersign: Command, system: Stack, edge: Edge
):
    uetr = str(uuid4())
    await move_without_payment(edge, system, uetr)

    async def reported():
        _, found = await countersign.json("check", "--grace", "1")
        return [one["details"] for one in found["violations"] if one["about"] == uetr], found

    moved = "first-bank moved 5.00 USD for no payment"
    assert (await reported())[0] == [moved]
    today = datetime.now(UTC).date().isoformat()
    await countersign.json("reconcile", "--partner", "first-bank", "--date", today)
    _, listed = await countersign.json("cases", "list", "--limit", "1000")
    (case,) = [one for one in listed if one["uetr"] == uetr]
    known, before = await reported()
    assert known == [f"{moved}; settlement has a case: MISSING_HERE, OPEN, {case['id']}"]

    order = ("--outcome", "EXPLAINED", "--note", "a transfer of their own")
    assert (await countersign.json("cases", "resolve", case["id"], *order))[0] == 0
    known, after = await reported()
    assert (known, after["explained"]) == ([], before["explained"] + 1)
