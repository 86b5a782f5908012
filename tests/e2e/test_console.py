"""The console in a real browser: sign-in, pages, keyboard, acts of one and of two people."""

import asyncio
import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from itertools import product
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from local_stack.stack import Stack
from local_stack.waiting import wait_until
from partner_messages.keys import Keys, SigningKey
from testbed.accessibility import faults_of_view
from testbed.command import Command
from testbed.desk import PICTURES, Desk, refuse
from testbed.edge import Customer, Edge
from testkit.chromium import Tab

pytestmark = pytest.mark.stack
WIDTHS = (360, 1440)
_SHOWS = "fetch(location).then((one) => one.text()).then((text) => text.includes({}))"
"""What a page shows when it is loaded anew."""
_LETTERS = "fetch({}).then((one) => one.text()).then((text) => text.includes('2 letters match'))"
MORE = ("/reconciliation", "/partners", "/partners/first-bank", "/access", "/system")


async def pay(edge: Edge, name: str, **body: str) -> None:
    """Confirm a payment of a new customer, with the customer's name as transaction id."""
    (customer,) = await edge.open_customers(name, 1, 10_000_00)
    await edge.pay(customer, name, **body)


async def settled_down(countersign: Command, name: str) -> dict[str, Any]:
    """Return what the command shows of a payment once its code has been delivered."""
    for _ in range(20):
        status, known = await countersign.json("show", name)
        assert status == 0
        if "NOTIFICATION_DELIVERED" in {row["event"] for row in known["timeline"]}:
            return dict(known)
        await asyncio.sleep(0.5)
    raise AssertionError(f"{name}: its code was not delivered")


async def test_every_page_is_accessible_in_both_schemes_on_a_phone_and_on_a_desk(
    desk: Desk, system: Stack, edge: Edge, name: str
):
    await pay(edge, name, amount="5200")
    await refuse(system, name)
    page = desk.page
    paths = ["/now", "/payments", f"/payments/{name}", "/dead-letters", "/lab"]
    paths += ["/dead-letters/redrive?topic=settlement-queue", "/payments?amount=x"]
    paths += ["/dead-letters/discard?topic=settlement-queue", "/dead-letters?discarded=true"]
    paths += ["/access/clients/new"]
    paths += ["/reconciliation", f"/reconciliation/first-bank/{datetime.now(UTC).date()}"]
    paths += ["/partners", "/partners/first-bank", "/partners/south-bank", "/access", "/system"]
    paths += ["/charges", "/charges/routing", "/charges/reviews", "/runbooks/ServiceDown"]
    paths += ["/identity-checks"]
    found = {}
    for path in paths:
        await desk.open(path)
        for dark, width in product((False, True), WIDTHS):
            if faults := await faults_of_view(page, width=width, dark=dark):
                found[path, dark, width] = faults
    await page.look(width=1280, height=900)
    assert found == {}


async def test_a_payment_is_found_by_the_keyboard_and_shows_what_the_command_shows(
    desk: Desk, edge: Edge, countersign: Command, name: str
):
    await pay(edge, name, amount="5200")
    page = desk.page
    await desk.open("/now")
    await page.press("?")
    await page.sees("Next and previous row")
    assert await page.evaluate("document.querySelector('#keys').open")
    assert await desk.faults() == {}
    await page.press("Enter")  # its button has the focus
    assert not await page.evaluate("document.querySelector('#keys').open")
    await page.press("g", "p")
    await page.until("location.pathname === '/payments' && document.readyState === 'complete'")
    await page.press("/")
    await page.until("document.activeElement.id === 'search'")
    await page.type(name)
    await page.press("Enter")
    await page.until("location.pathname.startsWith('/payments/')")
    await page.sees(name)
    known = await settled_down(countersign, name)
    await desk.open(await page.evaluate("location.pathname"))
    shown = (await page.text()).lower()
    assert f"{len(known['timeline'])} entries" in shown
    assert known["waits_for"]
    for one in known["waits_for"]:
        assert one["what"].lower() in shown
    for one in known["timeline"]:
        assert one["event"].replace("_", " ").lower() in shown
    assert "5,200.00" in shown
    assert known["payment"]["uetr"] in shown
    assert "awaiting code" in shown
    await desk.picture("console-payment")


_PLANT = """
with planted as (
    insert into confirm.payment
    select (jsonb_populate_record(one, jsonb_build_object(
        'id', gen_random_uuid(), 'request_id', gen_random_uuid(), 'uetr', gen_random_uuid(),
        'transaction_id', one.transaction_id || '-' || n,
        'idempotency_key', one.idempotency_key || '-' || n,
        'reference', substr(upper(md5(one.reference || n)), 1, 10),
        'to_account', case n when %(last)s then 'last-' else 'some-' end || one.transaction_id,
        'created_at', one.created_at - interval '30 days' - n * interval '1 second'))).*
    from confirm.payment as one cross join generate_series(1, %(last)s) as n
    where transaction_id = %(name)s returning id)
insert into confirm.payment_state
select (jsonb_populate_record(state, jsonb_build_object('id', planted.id))).*
from planted cross join confirm.payment_state as state where state.id = (
    select id from confirm.payment where transaction_id = %(name)s)
"""
"""Copies of a declined payment, a second apart: declined ones move no money, and no check minds."""
_REMOVE = """
with gone as (
    delete from confirm.payment where transaction_id like %(name)s || '-%%' returning id)
delete from confirm.payment_state using gone where payment_state.id = gone.id
"""
LOOKED_AT = 1000
"""Payments that a page of a search looks at. Source: confirm."""


@contextmanager
def history(system: Stack, name: str, last: int) -> Iterator[None]:
    """Give a declined payment's customer so many more, a month ago; take them away again."""
    with psycopg.connect(system.description().admin_dsn, autocommit=True) as owner:
        try:
            owner.execute(_PLANT, {"name": name, "last": last})
            yield
        finally:
            owner.execute(_REMOVE, {"name": name})


async def test_payments_are_searched_by_each_field_page_by_page_and_further_back(
    desk: Desk, system: Stack, edge: Edge, name: str
):
    await pay(edge, name, amount="999999.00")
    user, page = f"usr-{name}-0001", desk.page
    with history(system, name, LOOKED_AT + 1):
        await desk.open("/payments")
        first = await desk.search(user_id=user, state="DECLINED", amount="999,999.00")
        assert first == [name, *(f"{name}-{n}" for n in range(1, 50))]
        await page.press("n")
        await page.until("location.search.includes('after=') && document.readyState === 'complete'")
        assert "Next page" in await page.text()
        assert await desk.rows() == [f"{name}-{n}" for n in range(50, 100)]
        await desk.open("/payments")
        assert await desk.search(user_id=user, amount="999,998.00") == []

        # A time and an account: a page looks at so many payments, and the last is behind them.
        until = (datetime.now(UTC) - timedelta(days=29)).date()
        await desk.open(f"/payments?account=last-{name}&until={until}")
        assert "No payment matches" in await page.text()
        assert "Looked at payments back to" in await page.text()
        assert await desk.faults() == {}
        await desk.act("a[rel=next]", "Search further back")
        assert await desk.rows() == [f"{name}-{LOOKED_AT + 1}"]
        await desk.open("/payments")
        assert await desk.search(account=f"last-{name}", state="CONFIRMED") == []


async def switch_bank(page: Tab, kind: str) -> None:
    """Switch a fault of the partner banks on the page Lab; an empty one lets them work again."""
    form = "document.querySelector('[name=mock][value=partner_bank]').form"
    await page.evaluate(f"{form}.kind.value = {json.dumps(kind)}; {form}.id = 'banks'")
    await page.follow(selector="#banks button")


async def test_an_operator_finds_why_a_payment_is_not_settled_and_sees_it_settle(
    desk: Desk, edge: Edge, name: str
):
    page = desk.page
    await desk.open("/lab")
    await switch_bank(page, "down")
    await desk.settle()
    assert "partner_bank: down is on" in await page.text()
    try:
        await pay(edge, name)
        await desk.open(f"/payments?user_id=usr-{name}-0001")
        await page.press("j")
        await desk.act("a.row-link", name)
        await page.until(_SHOWS.format(json.dumps("First-bank to")), 10)
        assert "It has ended" not in await page.text()
    finally:
        await desk.open("/lab")
        await switch_bank(page, "")
    await desk.open(f"/payments/{name}")
    await page.until(_SHOWS.format(json.dumps("It has ended")), 40)


async def test_a_group_of_dead_letters_is_redriven_by_two_people_and_one_by_one_by_the_keyboard(
    desk: Desk, system: Stack, name: str
):
    page = desk.page
    for event_id in await refuse(system, f"{name}-a", f"{name}-b"):
        # Each of its two consumers has refused it: a group of one would need no second person.
        await page.until(_LETTERS.format(json.dumps(f"/dead-letters/found?id={event_id}")))
    await desk.open("/dead-letters")
    await page.sees("unauthenticated")
    assert "canary" not in await page.text()
    await desk.picture("console-dead-letters")
    await desk.act("#main a.button", "Redrive")
    assert "Nothing is published yet" in await page.text()
    await desk.act("button.primary", "Propose")
    await page.sees("another person approves")
    assert not await page.evaluate("!!document.querySelector('form[action$=approve]')")
    await desk.sign_out()
    await desk.sign_in("bob")
    await desk.open("/dead-letters")
    await desk.act("form[action$=approve] button")
    await page.sees("are published again")
    await desk.act("tbody a.row-link")
    await desk.act("section[aria-labelledby=letters] a.button", "Redrive")
    await desk.act("button.primary", "Redrive")
    await page.sees("1 record is published to its topic again")
    await desk.sign_out()
    await desk.sign_in("alice")


async def test_who_may_only_read_is_offered_no_act_and_refused_one(desk: Desk, url: str):
    await desk.sign_out()
    await desk.sign_in("carol")
    await desk.open("/dead-letters")
    assert "Redrive" not in await desk.page.text()
    act = (
        "fetch('/dead-letters/redrive', {method: 'POST', headers:"
        " {'content-type': 'application/x-www-form-urlencoded'}, body: new URLSearchParams("
        "{csrf: document.querySelector('[name=csrf]').value, places: 'a/0/0'})})"
        ".then((one) => one.text())"
    )
    assert "needs the scope dlq.redrive" in await desk.page.evaluate(act)
    forged = act.replace("document.querySelector('[name=csrf]').value", "'x'")
    assert "not of your session" in await desk.page.evaluate(forged)
    desk.page.errors.clear()  # the browser reports the two refusals
    await desk.sign_out()
    assert "Signed out" in await desk.page.text()
    await desk.sign_in("alice")


async def unknown_at_its_bank(system: Stack, edge: Edge, name: str) -> tuple[str, Customer]:
    """Let a bank book a transfer and lose its answers, until people have to find out.

    The end of the bank's time is written to the tables: it would last a minute. Return the case.
    """
    faults = system.description().url("partner_bank") + "/faults"
    (customer,) = await edge.open_customers(name, 1, 10_000_00)
    try:
        await edge.http.put(faults, json={"kind": "lose_answer"})
        await edge.pay(customer, name, amount="10.00", to_account=f"north-{name}")
        wait_until(lambda: over_at_its_bank(system, name), seconds=20, otherwise="it was not sent")
    finally:
        await edge.http.delete(faults)
    with psycopg.connect(system.description().owner_dsn("settlement")) as owner:
        ((case_id,),) = owner.execute(
            """insert into settlement.reconciliation_case
                   (id, kind, partner, uetr, payment_id, day, details)
               select gen_random_uuid(), 'OUTCOME_UNKNOWN', partner, uetr, id, current_date,
                   'its bank answers nothing intelligible about it'
               from settlement.instruction where transaction_id = %s returning id""",
            (name,),
        ).fetchall()
    return str(case_id), customer


async def settled(edge: Edge, customer: Customer, name: str) -> None:
    """Wait until a payment is settled."""
    async with asyncio.timeout(15):
        while (await edge.payment(customer, name))["settlement_status"] != "SETTLED":  # noqa: ASYNC110
            await asyncio.sleep(0.2)


def over_at_its_bank(system: Stack, name: str) -> bool:
    """End the bank's time for a transfer that it was sent; return whether it was."""
    with psycopg.connect(system.description().owner_dsn("settlement")) as owner:
        done = owner.execute(
            """update settlement.instruction
               set status = 'RECONCILE', next_step = 'ENQUIRE', version = version + 1,
                   epoch = epoch + 1, lease_until = null, due_at = now() + interval '1 hour'
               where transaction_id = %s and status in ('UNKNOWN', 'SENT')""",
            (name,),
        )
        return done.rowcount == 1


async def test_a_case_is_resolved_by_two_people_and_by_one_alone_it_is_not(
    desk: Desk, system: Stack, edge: Edge, countersign: Command, name: str
):
    case, customer = await unknown_at_its_bank(system, edge, name)
    _, known = await countersign.json("show", name)
    assert [one["id"] for one in known["cases"]] == [case]
    await desk.agrees(known)
    page, path = desk.page, f"/reconciliation/cases/{case}"
    await desk.open("/reconciliation")
    await page.follow(selector=f"a[href='{path}']")
    assert "10.00" in await page.text()
    assert "No statement that was read has this UETR" in await page.text()
    await desk.choose("[name=resolution]", "SETTLE")
    await desk.reach("form[action$=propose] [name=note]")
    await page.type("their clerk has seen it")
    await desk.act("button.primary", "Propose")
    await page.sees("A second person has to approve it within a day")
    assert not await page.evaluate("!!document.querySelector('form[action$=approve]')")
    await desk.picture("console-case")
    # The page offers no approval to who has proposed; the owner refuses one, too.
    alone = (
        f"fetch('{path}/approve', {{method: 'POST', headers:"
        " {'content-type': 'application/x-www-form-urlencoded'}, body: new URLSearchParams("
        "{csrf: document.querySelector('[name=csrf]').value, resolution: 'SETTLE', note: 'x'})})"
        ".then((one) => one.text())"
    )
    assert "a second person must approve the proposal" in await page.evaluate(alone)
    page.errors.clear()  # the browser reports the refusal
    await desk.sign_out()
    await desk.sign_in("bob")
    await desk.open(path)
    await desk.act("form[action$=approve] button", "Approve SETTLE")
    await page.sees("The case is resolved: SETTLE")
    await settled(edge, customer, name)
    await desk.sign_out()
    await desk.sign_in("alice")


async def replace_keys(desk: Desk, keys: list[dict[str, str]]) -> None:
    """Replace the keys of the open bank by the keyboard; its profile then names them."""
    await desk.reach("textarea[name=keys]")
    await desk.page.type(json.dumps({"keys": keys}))
    await desk.act("form[action$='/keys'] button", "Replace the keys")
    await desk.page.sees("The bank's keys are replaced.")
    profile = await desk.page.evaluate(
        "document.querySelector('[aria-labelledby=profile]').innerText"
    )
    assert ", ".join(key["kid"] for key in keys) in profile


async def test_a_partner_banks_keys_are_replaced_and_it_is_suspended_and_resumed_by_the_keyboard(
    desk: Desk, edge: Edge, name: str
):
    page = desk.page
    await desk.open("/partners")
    await desk.act("a[href='/partners/south-bank']")
    keys = (await edge.admin("settlement", "/partners/south-bank"))["keys"]["keys"]
    further = Keys.of([SigningKey.of_seed(f"south-{name}", b"s" * 32).public()]).jwks()["keys"]
    # Both keys first: what the bank signs with its present one is admitted below.
    await replace_keys(desk, [*keys, *further])
    await desk.act("button.danger", "Suspend")
    await page.sees("Nothing more is sent to the bank")
    try:
        (customer,) = await edge.open_customers(name, 1, 10_000_00)
        await edge.pay(customer, name, amount="10.00", to_account=f"south-{name}")
        waits = "[...document.querySelectorAll('.figures div')].some((one) =>"
        waits += (
            " /wait to be sent/.test(one.textContent) && /^0?[^1-9]*[1-9]/.test(one.textContent))"
        )
        for _ in range(40):
            await desk.open("/partners/south-bank")
            if await page.evaluate(waits):
                break
        assert await page.evaluate(waits)
        assert (await edge.payment(customer, name))["settlement_status"] != "SETTLED"
        await desk.picture("console-partner")
        await desk.open("/payments")
        assert name in await desk.search(partner="south-bank")
    finally:
        await desk.open("/partners/south-bank")
        await desk.act("button.primary", "Resume")
    await page.sees("The bank gets its instructions again")
    await settled(edge, customer, name)
    await replace_keys(desk, keys)


def answers(url: str) -> bool:
    """Return whether a process is ready."""
    try:
        return httpx.get(url, timeout=2).is_success
    except httpx.HTTPError:
        return False


async def test_a_box_whose_service_is_away_costs_itself_alone_a_message(desk: Desk, system: Stack):
    system.stop_process("settlement")
    try:
        await desk.open("/reconciliation")
        assert "settlement cannot be reached" in await desk.page.text()
        await desk.open("/access")
        assert "messages to partner banks on Kafka" in await desk.page.text()
        await desk.open("/system")
        assert "does not respond" in await desk.page.text()
        assert "Continuous check" in await desk.page.text()
    finally:
        system.start_process("settlement")
        ready = system.description().url("settlement") + "/ready"
        wait_until(lambda: answers(ready), seconds=30, otherwise="settlement is not ready")


def test_without_a_session_every_page_leads_to_the_sign_in(url: str):
    with httpx.Client(base_url=url) as http:
        for path in ("/", "/now", "/payments", "/payments/tx-1", "/dead-letters", "/lab", *MORE):
            reply = http.get(path)
            assert (reply.status_code, reply.headers["location"][:8]) == (303, "/sign-in")
        assert http.get("/now/checks", headers={"X-Fragment": "1"}).status_code == 401
        assert http.post("/dead-letters/redrive", data={"places": "a/0/0"}).status_code == 303
        begun = http.get("/sign-in?next=//evil.example")
        assert "HttpOnly" in begun.headers["set-cookie"]
        assert "SameSite=lax" in begun.headers["set-cookie"]
        assert http.get("/signed-in?code=x&state=y").status_code == 409
        assert http.get("/assets/../app.py").status_code == 404


def test_the_pictures_are_small():
    assert all(one.stat().st_size < 100_000 for one in Path(PICTURES).glob("console-*.webp"))
