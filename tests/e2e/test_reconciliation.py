"""A bank that lies on its statement is found out, and the case is closed by people."""

import asyncio
import json
import os
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from local_stack.stack import Stack
from testkit.edge import Edge

pytestmark = pytest.mark.stack

COMMAND = Path(sys.executable).parent / "countersign"
PARTNER = "north-bank"
PAYMENTS = 6


async def countersign(system: Stack, *arguments: str):
    """Run the command; return its exit code and its answer."""
    environment = {**os.environ, "COUNTERSIGN_OFFSET": str(system.ports.offset)}
    process = await asyncio.create_subprocess_exec(
        str(COMMAND), *arguments, "--json", env=environment, stdout=-1, stderr=-1
    )
    out, error = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode is not None
    return process.returncode, json.loads(out) if out else error.decode()


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
    system: Stack, edge: Edge, name: str
):
    faults = system.description().url("partner_bank") + "/faults"
    await settled(edge, name)
    today = datetime.now(UTC).date().isoformat()
    order = ("reconcile", "--partner", PARTNER, "--date", today)
    try:
        await lie(edge, system, "omit_from_statement")
        status, report = await countersign(system, *order)
        assert (status, report["matched"]) == (1, 0)
        assert report["missing_there"] >= PAYMENTS
        assert report["cases_opened"] == report["missing_there"]
        await edge.http.delete(faults)

        await lie(edge, system, "wrong_amount_on_statement")
        status, report = await countersign(system, *order)
        assert (status, report["matched"], report["missing_there"]) == (1, 0, 0)
        assert report["amount_differs"] == report["cases_opened"] >= PAYMENTS
    finally:
        await edge.http.delete(faults)
    status, report = await countersign(system, *order)
    assert (status, report["breaks"]) == (0, [])
    assert report["matched"] >= PAYMENTS

    _, listed = await countersign(system, "cases", "list", "--limit", "1000")
    case = next(one for one in listed if one["partner"] == PARTNER)
    resolve = ("cases", "resolve", case["id"], "--note", "their statement was late")
    status, why = await countersign(system, *resolve, "--as", "SETTLE", "--actor", "alice")
    assert (status, "only EXPLAINED is left" in why) == (1, True)
    status, told = await countersign(system, *resolve, "--as", "EXPLAINED", "--actor", "alice")
    assert (status, told["status"]) == (0, "RESOLVED")
    status, shown = await countersign(system, "cases", "show", case["id"])
    assert (status, shown["resolved_by"]) == (0, "alice")
    status, why = await countersign(system, "cases", "show", "7")
    assert (status, "case_id" in why) == (1, True)
    status, why = await countersign(system, "reconcile", "--partner", "no-bank", "--date", today)
    assert (status, "partner" in why) == (1, True)
