"""The console in a real browser: sign-in, pages, keyboard, acts of one and of two people."""

import asyncio
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import psycopg
import pytest
from aiokafka import AIOKafkaProducer

from local_stack.layout import CHECKOUT
from local_stack.stack import Stack
from local_stack.waiting import wait_until
from testbed.command import Command
from testbed.edge import Customer, Edge
from testkit.devtools import BrowserPage, driven

pytestmark = pytest.mark.stack
AXE = CHECKOUT / "clients/wallet/node_modules/axe-core/axe.min.js"
PICTURES = CHECKOUT / "docs/images"
WIDTHS = (360, 1440)
SCHEMES = ("light", "dark")
TOO_WIDE = """
document.documentElement.scrollWidth <= innerWidth ? "" : [...document.querySelectorAll("body *")]
  .filter((one) => one.getBoundingClientRect().right > innerWidth && !one.closest(".scroll"))
  .map((one) => one.outerHTML.slice(0, 200)).join("; ") || "unknown"
"""
_SHOWS = "fetch(location).then((one) => one.text()).then((text) => text.includes({}))"
"""What a page shows when it is loaded anew."""
MORE = ("/reconciliation", "/partners", "/partners/first-bank", "/access", "/system")
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


class Desk:
    """A browser of an operator at the console."""

    def __init__(self, page: BrowserPage, url: str) -> None:
        self.page = page
        self.url = url
        self._axe = AXE.read_text()

    def open(self, path: str) -> None:
        """Open a page, and wait for its parts."""
        self.page.goto(self.url + path)
        self.settle()

    def settle(self) -> None:
        """Wait until every part of the page is there."""
        self.page.wait_for("!document.querySelector('[aria-busy=true]')")

    def sign_in(self, name: str) -> None:
        """Sign in at the development issuer."""
        self.page.goto(f"{self.url}/sign-in")
        self.page.wait_for("!!document.querySelector('select[name=operator]')")
        choose = f"document.querySelector('select[name=operator]').value = {json.dumps(name)}"
        self.page.evaluate(choose)
        self.page.follow("button[value=approve]")
        self.page.wait_for_text("Now")

    def sign_out(self) -> None:
        """Sign out by the menu."""
        self.page.click(".who summary")
        self.page.follow(".menu form button")

    def faults(self) -> list[str]:
        """Return what axe finds on the page."""
        if not self.page.evaluate("!!window.axe"):
            self.page.evaluate(f"{self._axe}; true")
        options = json.dumps({"runOnly": RULES, "resultTypes": ["violations"]})
        found = self.page.evaluate(f"axe.run(document, {options}).then((one) => one.violations)")
        return [
            f"{one['id']}: {one['help']}: {node['html'][:160]}"
            for one in found
            for node in one["nodes"]
        ]

    def picture(self, name: str) -> None:
        """Keep what the window shows, for the documents."""
        self.page.screenshot(PICTURES / f"{name}.webp")


@pytest.fixture(scope="module")
def url(system: Stack) -> str:
    """The console's address for browsers."""
    return system.description().url("ops").replace("127.0.0.1", "localhost")


@pytest.fixture(scope="module")
def desk(url: str) -> Iterator[Desk]:
    """A browser in which alice has signed in."""
    with driven() as page:
        page.show(width=1280)
        desk = Desk(page, url)
        desk.sign_in("alice")
        yield desk
        assert page.errors == []


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


async def refuse(system: Stack, *names: str) -> None:
    """Publish records that their consumers refuse for good."""
    producer = AIOKafkaProducer(**system.brokers.arguments)
    await producer.start()
    for name in names:
        headers = {
            "ce_specversion": "1.0",
            "ce_id": str(uuid4()),
            "ce_type": "settlement.requested.v1",
            "ce_source": "/test",
            "ce_time": "2026-11-20T00:00:00Z",
        }
        value = json.dumps({"amount_minor": 55, "transaction_id": name, "note": "canary-9d2"})
        raw = [(key, text.encode()) for key, text in headers.items()]
        await producer.send_and_wait("settlement-queue", value.encode(), headers=raw)
    await producer.stop()


async def test_every_page_is_accessible_in_both_schemes_on_a_phone_and_on_a_desk(
    desk: Desk, system: Stack, edge: Edge, name: str
):
    await pay(edge, name, amount="5200")
    await refuse(system, name)
    page = desk.page
    paths = ["/now", "/payments", f"/payments/{name}", "/dead-letters", "/lab"]
    paths += ["/dead-letters/redrive?topic=settlement-queue", "/payments?amount=x"]
    paths += ["/reconciliation", f"/reconciliation/first-bank/{datetime.now(UTC).date()}"]
    paths += ["/partners", "/partners/first-bank", "/partners/south-bank", "/access", "/system"]
    found = {}
    for path in paths:
        desk.open(path)
        for scheme in SCHEMES:
            for width in WIDTHS:
                page.show(width=width, scheme=scheme)
                page.evaluate("new Promise((done) => requestAnimationFrame(done))")
                wide = page.evaluate(TOO_WIDE)
                faults = desk.faults() + ([f"too wide: {wide}"] if wide else [])
                found |= {f"{path} {scheme} {width}": faults} if faults else {}
    page.show(width=1280)
    assert found == {}


async def test_a_payment_is_found_by_the_keyboard_and_shows_what_the_command_shows(
    desk: Desk, edge: Edge, countersign: Command, name: str
):
    await pay(edge, name, amount="5200")
    page = desk.page
    desk.open("/now")
    page.press("g", "p")
    page.wait_for("location.pathname === '/payments' && document.readyState === 'complete'")
    page.press("/")
    page.wait_for("document.activeElement.id === 'search'")
    page.type(name)
    page.press("Enter")
    page.wait_for("location.pathname.startsWith('/payments/')")
    page.wait_for_text(name)
    known = await settled_down(countersign, name)
    desk.open(page.evaluate("location.pathname"))
    shown = page.text().lower()
    assert f"{len(known['timeline'])} entries" in shown
    assert known["waits_for"]
    for one in known["waits_for"]:
        assert one["what"].lower() in shown
    for one in known["timeline"]:
        assert one["event"].replace("_", " ").lower() in shown
    assert "5,200.00" in shown
    assert known["payment"]["uetr"] in shown
    assert "awaiting code" in shown
    desk.picture("console-payment")


def switch_bank(page: BrowserPage, kind: str) -> None:
    """Switch a fault of the partner banks on the page Lab; an empty one lets them work again."""
    form = "document.querySelector('[name=mock][value=partner_bank]').form"
    page.evaluate(f"{form}.kind.value = {json.dumps(kind)}; {form}.id = 'banks'")
    page.follow("#banks button")


async def test_an_operator_finds_why_a_payment_is_not_settled_and_sees_it_settle(
    desk: Desk, edge: Edge, name: str
):
    page = desk.page
    desk.open("/lab")
    switch_bank(page, "down")
    desk.settle()
    assert "partner_bank: down is on" in page.text()
    try:
        await pay(edge, name)
        desk.open(f"/payments?user_id=usr-{name}-0001")
        page.follow("a.row-link", name)
        page.wait_for(_SHOWS.format(json.dumps("First-bank to")), 10)
        assert "It has ended" not in page.text()
    finally:
        desk.open("/lab")
        switch_bank(page, "")
    desk.open(f"/payments/{name}")
    page.wait_for(_SHOWS.format(json.dumps("It has ended")), 40)


async def test_a_group_of_dead_letters_is_redriven_by_two_people_and_one_by_one(
    desk: Desk, system: Stack, name: str
):
    await refuse(system, f"{name}-a", f"{name}-b")
    page = desk.page
    desk.open("/dead-letters")
    page.wait_for_text("unauthenticated")
    assert "canary" not in page.text()
    desk.picture("console-dead-letters")
    page.follow("a.button", "Redrive")
    assert "Nothing is published yet" in page.text()
    page.follow("button.primary", "Propose")
    desk.settle()
    page.wait_for_text("another person approves")
    assert not page.evaluate("!!document.querySelector('form[action$=approve]')")
    desk.sign_out()
    desk.sign_in("bob")
    desk.open("/dead-letters")
    page.follow("form[action$=approve] button")
    page.wait_for_text("are published again")
    desk.settle()
    page.follow("tbody a.row-link")
    desk.settle()
    page.follow("#letters a.button, section[aria-labelledby=letters] a.button", "Redrive")
    page.follow("button.primary", "Redrive")
    page.wait_for_text("1 record is published to its topic again")
    desk.sign_out()
    desk.sign_in("alice")


async def test_who_may_only_read_is_offered_no_act_and_refused_one(desk: Desk, url: str):
    desk.sign_out()
    desk.sign_in("carol")
    desk.open("/dead-letters")
    assert "Redrive" not in desk.page.text()
    act = (
        "fetch('/dead-letters/redrive', {method: 'POST', headers:"
        " {'content-type': 'application/x-www-form-urlencoded'}, body: new URLSearchParams("
        "{csrf: document.querySelector('[name=csrf]').value, places: 'a/0/0'})})"
        ".then((one) => one.text())"
    )
    assert "needs the scope dlq.redrive" in desk.page.evaluate(act)
    forged = act.replace("document.querySelector('[name=csrf]').value", "'x'")
    assert "not of your session" in desk.page.evaluate(forged)
    desk.page.errors.clear()  # the browser reports the two refusals
    desk.sign_out()
    assert "Signed out" in desk.page.text()
    desk.sign_in("alice")


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
    desk: Desk, system: Stack, edge: Edge, name: str
):
    case, customer = await unknown_at_its_bank(system, edge, name)
    page, path = desk.page, f"/reconciliation/cases/{case}"
    desk.open("/reconciliation")
    page.follow(f"a[href='{path}']")
    assert "10.00" in page.text()
    assert "No statement that was read has this UETR" in page.text()
    page.evaluate(
        "document.querySelector('[name=resolution]').value = 'SETTLE';"
        "document.querySelector('[name=note]').value = 'their clerk has seen it'"
    )
    page.follow("button.primary", "Propose")
    page.wait_for_text("A second person has to approve it within a day")
    assert not page.evaluate("!!document.querySelector('form[action$=approve]')")
    desk.picture("console-case")
    # The page offers no approval to who has proposed; the owner refuses one, too.
    alone = (
        f"fetch('{path}/approve', {{method: 'POST', headers:"
        " {'content-type': 'application/x-www-form-urlencoded'}, body: new URLSearchParams("
        "{csrf: document.querySelector('[name=csrf]').value, resolution: 'SETTLE', note: 'x'})})"
        ".then((one) => one.text())"
    )
    assert "a second person must approve the proposal" in page.evaluate(alone)
    page.errors.clear()  # the browser reports the refusal
    desk.sign_out()
    desk.sign_in("bob")
    desk.open(path)
    page.follow("form[action$=approve] button", "Approve SETTLE")
    page.wait_for_text("The case is resolved: SETTLE")
    await settled(edge, customer, name)
    desk.sign_out()
    desk.sign_in("alice")


async def test_a_partner_bank_is_suspended_and_resumed(desk: Desk, edge: Edge, name: str):
    page = desk.page
    desk.open("/partners")
    page.follow("a[href='/partners/south-bank']")
    page.follow("button.danger", "Suspend")
    page.wait_for_text("Nothing more is sent to the bank")
    try:
        (customer,) = await edge.open_customers(name, 1, 10_000_00)
        await edge.pay(customer, name, amount="10.00", to_account=f"south-{name}")
        waits = "[...document.querySelectorAll('.figures div')].some((one) =>"
        waits += (
            " /wait to be sent/.test(one.textContent) && /^0?[^1-9]*[1-9]/.test(one.textContent))"
        )
        for _ in range(40):
            desk.open("/partners/south-bank")
            if page.evaluate(waits):
                break
        assert page.evaluate(waits)
        assert (await edge.payment(customer, name))["settlement_status"] != "SETTLED"
        desk.picture("console-partner")
    finally:
        desk.open("/partners/south-bank")
        page.follow("button.primary", "Resume")
    page.wait_for_text("The bank gets its instructions again")
    await settled(edge, customer, name)


def answers(url: str) -> bool:
    """Return whether a process is ready."""
    try:
        return httpx.get(url, timeout=2).is_success
    except httpx.HTTPError:
        return False


async def test_a_box_whose_service_is_away_costs_itself_alone_a_message(desk: Desk, system: Stack):
    system.stop_process("settlement")
    try:
        desk.open("/reconciliation")
        assert "settlement cannot be reached" in desk.page.text()
        desk.open("/access")
        assert "messages to partner banks on Kafka" in desk.page.text()
        desk.open("/system")
        assert "does not respond" in desk.page.text()
        assert "Continuous check" in desk.page.text()
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
