"""The console in a real browser: what one payment has beside its rows, and acts of two people."""

import asyncio
import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from local_stack.stack import Stack
from testbed.command import Command
from testbed.desk import Desk, refuse
from testbed.edge import Customer, Edge

pytestmark = pytest.mark.stack
REASON = "a test of ours; the transfer was booked by hand"
DELIVERED = "NOTIFICATION_DELIVERED"
SETTLED = ("SETTLEMENT_SETTLED", DELIVERED)


async def customer_of(edge: Edge, name: str) -> Customer:
    """Return a new customer with money."""
    (customer,) = await edge.open_customers(name, 1, 10_000_00)
    return customer


async def known_to_command(countersign: Command, name: str, *events: str) -> dict[str, Any]:
    """Return what the command shows of a payment once its timeline has entries, its last ones."""
    for _ in range(40):
        status, known = await countersign.json("show", name)
        assert status == 0, known
        if {row["event"] for row in known["timeline"]} >= set(events):
            return dict(known)
        await asyncio.sleep(0.5)
    raise AssertionError(f"{name}: {events} are not all there")


async def test_a_payment_shows_its_events_side_by_side_and_what_belongs_to_it(
    desk: Desk, edge: Edge, countersign: Command, name: str
):
    customer = await customer_of(edge, name)
    for number in ("first", "second"):
        await edge.pay(customer, f"{name}-{number}", amount="12.50", to_account=f"shop-{name}")
    known = await known_to_command(countersign, f"{name}-second", *SETTLED)
    await desk.open(f"/payments/{name}-second")
    await desk.unfold()
    page = desk.page
    events = "document.querySelector('#events').innerText"
    shown = await page.evaluate(events)
    assert "settlement.requested.v1" in shown
    assert "version 1" in shown
    columns = "document.querySelectorAll('#events thead th').length - 1"
    assert await page.evaluate(columns) == len(known["timeline"])
    for row in known["timeline"]:
        assert row["event_id"] in shown
    related = await page.evaluate("document.querySelector('#related').innerText")
    assert f"{name}-first" in related
    assert "same order again" in related
    assert await desk.faults() == {}
    await page.evaluate("document.querySelector('#events').scrollIntoView()")
    await desk.picture("console-events")


async def test_without_a_jaeger_the_box_of_the_trace_says_what_to_run(desk: Desk):
    await desk.open("/now")
    part = f"/payments/traces/{'0af7651916cd43dd' * 2}"
    read = f"fetch('{part}', {{headers: {{'X-Fragment': '1'}}}}).then((one) => one.text())"
    shown = await desk.page.evaluate(read)
    assert "Jaeger" in shown
    assert "make observe" in shown


async def test_now_shows_how_far_consumers_are_behind(desk: Desk):
    await desk.open("/now")
    await desk.page.sees("Consumers behind")
    shown = await desk.page.evaluate("document.querySelector('[data-part$=consumers]').innerText")
    # Of the groups of the core, those that read something.
    assert int(re.findall(r"of (\d+)", shown)[0]) >= 6


async def test_the_command_and_the_console_never_disagree_about_the_same_payments(
    desk: Desk, edge: Edge, countersign: Command, name: str
):
    kinds = {"settled": ("7.00", SETTLED), "waits": ("5200", (DELIVERED,))}
    kinds["declined"] = ("999999.00", (DELIVERED,))
    seen = set()
    for kind, (amount, last) in kinds.items():
        customer = await customer_of(edge, f"{name}-{kind}")
        await edge.pay(customer, f"{name}-{kind}", amount=amount)
        known = await known_to_command(countersign, f"{name}-{kind}", *last)
        await desk.agrees(known)
        seen.add((known["payment"]["state"], known["payment"]["settlement_status"]))
        # A search has the same state as both.
        await desk.open(f"/payments?user_id={customer.user_id}")
        text = json.dumps(f"{name}-{kind}")
        rows = "[...document.querySelectorAll('tbody tr')].map((one) => one.innerText)"
        row = f"{rows}.find((one) => one.includes({text}))"
        listed = (await desk.page.evaluate(row)).lower()
        assert known["payment"]["state"].replace("_", " ").lower() in listed
    assert len(seen) == 3


async def waiting_payment(edge: Edge, countersign: Command, name: str) -> str:
    """Return the id of a payment that waits for a code."""
    await edge.pay(await customer_of(edge, name), name, amount="5200")
    _, known = await countersign.json("show", name)
    return str(known["payment"]["payment_id"])


async def both_letters(countersign: Command, event_id: str, *options: str) -> list[dict[str, Any]]:
    """Return the dead letters of an event, once both of its consumers have refused it."""
    for _ in range(40):
        status, found = await countersign.json("dlq", "list", "--id", event_id, *options)
        assert (status, found["unknown"]) == (0, None)
        if found["total"] == 2:
            break
        await asyncio.sleep(0.5)
    return list(found["letters"])


async def shows_letters(desk: Desk, event_id: str, letters: list[dict[str, Any]]) -> None:
    """Compare what the page shows of an event's dead letters with what the command shows."""
    await desk.open(f"/dead-letters?id={event_id}")
    await desk.unfold()
    shown = (await desk.page.text()).replace("_", " ")
    for one in letters:
        for field in ("event_id", "place", "topic", "reason", "error_class", "consumer", "source"):
            assert one[field].replace("_", " ") in shown, field


async def test_a_dead_letter_is_discarded_by_two_people_who_see_its_payment_by_the_keyboard_alone(
    desk: Desk, system: Stack, edge: Edge, countersign: Command, name: str
):
    payment_id = await waiting_payment(edge, countersign, name)
    (event_id,) = await refuse(system, name, payment_id=payment_id)
    letters = await both_letters(countersign, event_id)
    assert len(letters) == 2
    await shows_letters(desk, event_id, letters)
    page = desk.page
    await desk.open(f"/dead-letters/discard?id={event_id}")
    shown = await page.text()
    assert "1 payment has not ended" in shown
    assert "usr-" in shown
    assert "canary" not in shown
    assert await desk.faults() == {}
    await desk.picture("console-discard")
    await desk.reach("textarea[name=why]")
    await page.type(REASON)
    await desk.reach("button.danger", "Propose")
    await desk.enter()
    await page.sees("2 dead letters to discard")
    await desk.reach("#main a.button", "Read")
    await desk.enter()
    assert "Another person has to approve it" in await page.text()
    await desk.become("bob")
    await page.press("g", "d")
    await page.until("location.pathname === '/dead-letters' && document.readyState === 'complete'")
    await desk.settle()
    await desk.reach("#main a.button", "Read")
    await desk.enter()
    shown = await page.text()
    assert REASON in shown
    assert "1 payment has not ended" in shown
    assert await desk.faults() == {}
    await desk.reach("button.primary", "Approve")
    await desk.enter()
    await page.sees("Discarded: 2 dead letters")
    _, found = await countersign.json("dlq", "list", "--id", event_id)
    assert (found["total"], found["unknown"]) == (0, None)
    assert len(await both_letters(countersign, event_id, "--discarded")) == 2
    _, listed = await countersign.json("dlq", "discards")
    (one,) = [row for row in listed["discards"] if row["reason"] == REASON]
    assert len(one["places"]) == 2
    assert one["proposed_by"].endswith("|alice")
    assert one["approved_by"].endswith("|bob")
    _, checked = await countersign.json("check")
    assert checked["invariants"]["I5"]["checked"] > 0
    assert checked["invariants"]["I5"]["violations"] == 0
    await desk.open("/dead-letters?discarded=true")
    await desk.unfold()
    assert REASON in await page.text()
    await desk.become("alice")


async def test_a_payment_by_hand_is_exported_and_published_again_by_the_keyboard_alone(
    desk: Desk, edge: Edge, countersign: Command, name: str
):
    customer, page = await customer_of(edge, name), desk.page
    await desk.open("/lab")
    fields = {"user": customer.user_id, "amount": "12.50", "from_account": customer.account}
    for field, value in {**fields, "to_account": f"south-{name}", "transaction_id": name}.items():
        # Tab selects what is in the field: the typed text takes its place.
        await desk.reach(f"form[action='/lab/pay'] [name={field}]")
        await page.type(value)
    await desk.act("form[action='/lab/pay'] button", "Confirm the payment")
    assert name in await page.evaluate("document.querySelector('pre').innerText")
    known = await known_to_command(countersign, name, *SETTLED)

    await desk.act("main a", "Open the payment")
    assert known["payment"]["uetr"] in await page.text()
    await desk.open(f"/payments?user_id={customer.user_id}")
    export = "fetch(document.querySelector('a[download]').href).then((one) => one.text())"
    assert known["payment"]["uetr"] in await page.evaluate(export)

    await desk.open("/partners/south-bank")
    await desk.reach("form[action$='/replay'] [name=uetr]")
    await page.type(known["payment"]["uetr"])
    await desk.act("form[action$='/replay'] button", "Publish again")
    await page.sees("published again, under their ids")


async def test_a_statement_is_read_by_the_keyboard_alone(desk: Desk):
    # A day of before the tests: nothing was booked on it, whatever other tests do.
    day = (datetime.now(UTC) - timedelta(days=3)).date()
    await desk.open(f"/reconciliation/south-bank/{day}")
    await desk.act("main form button", "Read the statement now")
    await desk.page.sees("The statement was read: 0 matched, 0 broken")


async def test_the_command_discards_with_two_people_too(
    countersign: Command, system: Stack, name: str
):
    (event_id,) = await refuse(system, name)
    discard = ("dlq", "discard", "--id", event_id, "--because", f"{REASON}, {name}")
    for _ in range(40):
        _, shown = await countersign.json(*discard, "--dry-run")
        if isinstance(shown, dict) and shown["matched"] == 2:
            break
        await asyncio.sleep(0.5)
    assert [one["concerns"]["transaction_id"] for one in shown["letters"]] == [name, name]
    status, proposed = await countersign.json(*discard)
    assert status == 0
    status, _, error = await countersign("approve", proposed["proposal"], by="bob")
    assert status == 0, error
    _, found = await countersign.json("dlq", "list", "--id", event_id)
    assert found["total"] == 0
