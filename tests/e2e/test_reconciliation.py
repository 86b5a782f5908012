"""A bank that lies on its statement is found out, and the case is closed by people."""

import asyncio
from datetime import UTC, datetime

import pytest

from local_stack.stack import Stack
from testkit.command import Command
from testkit.edge import Edge

pytestmark = pytest.mark.stack

PARTNER = "north-bank"
PAYMENTS = 6


async def settled(edge: Edge, name: str):
    """Pay at the partner, and return what settlement knows once all of it is settled."""
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


async def lie(edge: Edge, system: Stack, kind: str):
    url = system.description().url("partner_bank") + "/faults"
    assert (await edge.http.put(url, json={"kind": kind})).status_code == 200


async def test_a_lying_bank_is_found_out_whatever_it_lies_about(
    countersign: Command, system: Stack, edge: Edge, name: str
):
    faults = system.description().url("partner_bank") + "/faults"
    await settled(edge, name)
    today = datetime.now(UTC).date().isoformat()
    order = ("reconcile", "--partner", PARTNER, "--date", today)
    try:
        await lie(edge, system, "omit_from_statement")
        status, report = await countersign.json(*order)
        assert (status, report["matched"]) == (1, 0)
        assert report["missing_there"] >= PAYMENTS
        assert report["cases_opened"] == report["missing_there"]
        status, found = await countersign.json("check", "--grace", "1")
        broken = [one["details"] for one in found["violations"] if one["invariant"] == "I2"]
        assert len(broken) >= PAYMENTS
        assert all("settlement has a case: MISSING_THERE, OPEN" in one for one in broken)
        await edge.http.delete(faults)

        await lie(edge, system, "wrong_amount_on_statement")
        status, report = await countersign.json(*order)
        assert (status, report["matched"], report["missing_there"]) == (1, 0, 0)
        assert report["amount_differs"] == report["cases_opened"] >= PAYMENTS
    finally:
        await edge.http.delete(faults)
    status, report = await countersign.json(*order)
    assert (status, report["breaks"]) == (0, [])
    assert report["matched"] >= PAYMENTS

    _, listed = await countersign.json("cases", "list", "--limit", "1000")
    case = next(one for one in listed if one["partner"] == PARTNER)
    resolve = ("cases", "resolve", case["id"], "--note", "their statement was late")
    status, why = await countersign.json(*resolve, "--as", "SETTLE", "--actor", "alice")
    assert (status, "only EXPLAINED is left" in why) == (1, True)
    status, told = await countersign.json(*resolve, "--as", "EXPLAINED", "--actor", "alice")
    assert (status, told["status"]) == (0, "RESOLVED")
    status, shown = await countersign.json("cases", "show", case["id"])
    assert (status, shown["resolved_by"]) == (0, "alice")
    status, why = await countersign.json("cases", "show", "7")
    assert (status, "case_id" in why) == (1, True)
    status, why = await countersign.json("reconcile", "--partner", "no-bank", "--date", today)
    assert (status, "partner" in why) == (1, True)


async def test_a_break_that_people_have_resolved_is_no_violation_any_more(
    countersign: Command, system: Stack, edge: Edge, name: str
):
    await settled(edge, name)
    today = datetime.now(UTC).date().isoformat()
    try:
        await lie(edge, system, "omit_from_statement")
        await countersign.json("reconcile", "--partner", PARTNER, "--date", today)
        before = (await countersign.json("check", "--grace", "1"))[1]
        (_, known) = await countersign.json("show", f"{name}-0")
        about = known["payment"]["payment_id"]
        _, listed = await countersign.json("cases", "list", "--limit", "1000")
        (case,) = [one for one in listed if one["payment_id"] == about]
        order = ("--as", "EXPLAINED", "--actor", "alice", "--note", "they have sent the sheet")
        await countersign.json("cases", "resolve", case["id"], *order)
        after = (await countersign.json("check", "--grace", "1"))[1]
    finally:
        url = system.description().url("partner_bank") + "/faults"
        await edge.http.delete(url)
    assert about in {one["about"] for one in before["violations"]}
    assert about not in {one["about"] for one in after["violations"]}
    assert after["explained"] == before["explained"] + 1
