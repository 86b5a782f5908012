"""Card payments in the console, in a real browser: real charges, why they went where, refunds."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from itertools import product
from typing import Any
from uuid import UUID

import httpx
import pytest

from local_stack.stack import Stack
from testbed.accessibility import faults_of_view
from testbed.command import Command
from testbed.desk import Desk
from testbed.edge import Edge
from testbed.stack import joined

pytestmark = [pytest.mark.stack, pytest.mark.timeout(240)]
USAGE = "/api/v1/payments/usage"
WITHIN_S = 90
"""A provider's reply that is lost on a busy machine costs a minute of enquiries."""

WIDTHS = (360, 1440)
REFUND = "form[action$='/refund']"


@pytest.fixture(scope="module")
def charging(system: Stack) -> Iterator[Stack]:
    """The system with charges and the mocks of two providers; without them afterwards."""
    with joined(system, "charges", "stripe", "adyen"):
        yield system


@pytest.fixture(scope="module")
async def edge(charging: Stack) -> AsyncIterator[Edge]:
    """The edge of that system."""
    edge = Edge(charging.description())
    yield edge
    await edge.close()


async def charge(
    edge: Edge, merchant: str, status: str, source: str = "tok_test", amount: int = 1250
) -> str:
    """Charge a card for a merchant by the API; return the payment's id once it has a status."""
    token = await edge.token(merchant, "charges.write")
    key = f"{merchant}-{source}-{amount}"
    headers = {"Authorization": f"Bearer {token}", "Idempotency-Key": key}
    body = {"amount": amount, "currency": "USD", "source": source, "email": "donor@example.com"}
    reply = await edge.http.post(USAGE, json=body, headers=headers)
    assert reply.status_code in {200, 202, 402}, reply.text
    transaction_id = str(reply.json()["transactionId"])
    await ended(edge, transaction_id, status)
    return transaction_id


async def ended(edge: Edge, transaction_id: str, status: str) -> dict[str, Any]:
    """Return what is known of a charge, once it has a status."""
    async with asyncio.timeout(WITHIN_S):
        while True:
            known = await edge.admin("charges", f"/charges/{transaction_id}")
            if known["status"] == status:
                return dict(known)
            await asyncio.sleep(0.2)


async def box(desk: Desk, name: str) -> str:
    """Return what a box of the page shows."""
    shown = f"document.querySelector('section[aria-labelledby={name}]').innerText"
    return str(await desk.page.evaluate(shown))


async def explains(desk: Desk, known: dict[str, Any]) -> None:
    """Compare the attempts, the ledger and the refunds of a page with what charges knows."""
    choices, ledger = await box(desk, "choices"), await box(desk, "ledger")
    assert known["choices"]
    for one in known["choices"]:
        assert f"{one['propensity']:.3f}" in choices
        for provider in one["reasons"]:
            assert provider in choices
    for one in known["transfers"]:
        for word in (one["kind"].replace("_", " ").lower(), one["debit_account"]):
            assert word in ledger
    rows = "document.querySelectorAll('section[aria-labelledby={}] tbody tr').length"
    for name, key in (("choices", "choices"), ("ledger", "transfers"), ("refunds", "refunds")):
        assert await desk.page.evaluate(rows.format(name)) == len(known[key])
    facts = await box(desk, "facts")
    assert (known["provider_reference"] or known["code"].replace("_", " ")) in facts


async def accessible(desk: Desk) -> None:
    """Hold the open page to WCAG 2.2 AA in four views."""
    found = {}
    for dark, width in product((False, True), WIDTHS):
        if faults := await faults_of_view(desk.page, width=width, dark=dark):
            found[dark, width] = faults
    await desk.page.look(width=1280, height=900)
    assert found == {}


async def refund(desk: Desk, note: str, amount: str = "") -> None:
    """Refund the open payment by the keyboard."""
    await desk.reach(f"{REFUND} [name=amount]")
    await desk.page.type(amount)
    await desk.reach(f"{REFUND} [name=note]")
    await desk.page.type(note)
    await desk.act(f"{REFUND} button", "Refund")


async def test_card_payments_are_found_explained_and_refunded_by_the_keyboard_alone(
    edge: Edge, desk: Desk, name: str
):
    merchant, page = f"usr-{name}", desk.page
    captured = await charge(edge, merchant, "CAPTURED")
    declined = await charge(edge, merchant, "DECLINED", "tok_soft")
    await desk.open("/now")
    await page.sees("Consumers behind")  # charges reads no topic, and has no group
    await page.press("g", "c")
    await page.until("location.pathname === '/charges' && document.readyState === 'complete'")
    assert await desk.search(user_id=merchant) == [declined, captured]
    await accessible(desk)
    await desk.picture("console-charges")
    provider = (await ended(edge, captured, "CAPTURED"))["provider"]
    assert await desk.search(provider=provider[:3]) == []
    await desk.open(f"/charges?user_id={merchant}")
    assert captured in await desk.search(provider=provider)
    await desk.open(f"/charges?user_id={merchant}")
    assert await desk.search(status="DECLINED") == [declined]

    await desk.act("a.row-link", declined)
    known = await ended(edge, declined, "DECLINED")
    await explains(desk, known)
    assert known["review"] == "NONE"
    assert "review" not in await page.evaluate("document.querySelector('.head').innerText")
    assert "No money has moved" in await page.text()
    assert not await page.evaluate(f"!!document.querySelector({json.dumps(REFUND)})")

    await desk.act(".crumb a", merchant)
    await desk.act("a.row-link", captured)
    await refund(desk, "more than there is", "1251")
    await page.sees("More than is left to refund")
    page.errors.clear()  # the browser reports the refusal
    assert "Nothing was changed" in await page.text()
    await accessible(desk)
    await desk.act("#back", "Back to Card payments")
    assert await page.evaluate("location.pathname") == f"/charges/{captured}"
    await refund(desk, "one of two came", "300")
    await page.sees("The refund is sent.")
    known = await ended(edge, captured, "PARTIALLY_REFUNDED")
    await desk.open(f"/charges/{captured}")
    await explains(desk, known)
    assert "At most 9.50" in await page.text()
    await accessible(desk)
    await desk.picture("console-charge")
    await refund(desk, "neither came")
    await page.sees("The refund is sent.")
    known = await ended(edge, captured, "REFUNDED")
    assert known["refunded_minor"] == known["captured_minor"] == 1250
    await desk.open(f"/charges/{captured}")
    await explains(desk, known)
    assert not await page.evaluate(f"!!document.querySelector({json.dumps(REFUND)})")


DECIDE = "form[action$='/review']"
HELD = 20_000
"""More than is captured without a risk score."""


async def review(desk: Desk, transaction_id: str, decision: str) -> None:
    """Open a payment from the list of those that wait for a review; decide by the keyboard."""
    link = f"a.row-link[href$='{transaction_id}']"
    await desk.open("/charges")
    await desk.act("#main a.button", "Reviews")
    while not await desk.page.evaluate(f"!!document.querySelector({json.dumps(link)})"):
        await desk.page.follow(selector="a[rel=next]")
    await desk.page.follow(selector=link)
    await desk.choose(f"{DECIDE} [name=decision]", decision)
    await desk.reach(f"{DECIDE} [name=note]")
    await desk.page.type("the donor has called")
    await desk.act(f"{DECIDE} button", "Decide")


async def disputed(stack: Stack, known: dict[str, Any]) -> None:
    """Let the provider report a dispute of a captured payment."""
    body = {"reference": f"chg-{UUID(known['id']).hex}-{known['attempt']}"}
    url = stack.description().url(known["provider"]) + "/disputes"
    async with httpx.AsyncClient() as provider:
        reply = await provider.post(url, json={**body, "status": "needs_response"})
    assert reply.is_success, reply.text


async def test_a_held_card_payment_is_decided_by_a_person_and_its_dispute_is_shown(
    charging: Stack, edge: Edge, desk: Desk, countersign: Command, name: str
):
    merchant, page = f"usr-{name}", desk.page
    held = await charge(edge, merchant, "AUTHORIZED", amount=HELD)
    other = await charge(edge, merchant, "AUTHORIZED", amount=HELD + 1)
    await review(desk, held, "approve")
    await page.sees("Approved: the payment is captured.")
    known = await ended(edge, held, "CAPTURED")
    assert known["captured_minor"] == HELD

    code, done = await countersign.json("charges", "review", other, "reject", "--note", "stolen")
    assert (code, done["review"]) == (0, "REJECTED"), done
    await ended(edge, other, "CANCELLED")

    await disputed(charging, known)
    async with asyncio.timeout(WITHIN_S):
        while not (await ended(edge, held, "CAPTURED"))["disputes"]:  # noqa: ASYNC110 - a webhook
            await asyncio.sleep(0.2)
    await desk.open(f"/charges/{held}")
    shown = await box(desk, "disputes")
    assert "fraudulent" in shown
    assert "200.00" in shown
    assert "open" in shown
    assert "dispute hold" in await box(desk, "ledger")
    assert not await page.evaluate(f"!!document.querySelector({json.dumps(DECIDE)})")
    assert await desk.faults() == {}


async def test_routing_shows_what_is_known_of_each_provider(edge: Edge, desk: Desk, name: str):
    await charge(edge, f"usr-{name}", "CAPTURED")
    await desk.open("/charges")
    await desk.act("#main a.button", "Routing")
    rows = "[...document.querySelectorAll('tbody tr')].map((one) => one.innerText)"
    async with asyncio.timeout(WITHIN_S):
        # What is known fades and grows: the page is compared with what is so before and after it.
        before: Any = None
        while before != (known := await edge.admin("charges", "/routing", hours=24)):
            before = known
            await desk.open("/charges/routing")
            shown = await desk.page.evaluate(rows)
    assert len(shown) == len(known["arms"]) > 0
    for arm, row in zip(known["arms"], shown, strict=True):
        for word in (arm["segment"], arm["provider"], f"{arm['successes']:.1f}"):
            assert word in row
        is_open = known["breakers_open"][arm["provider"]]
        assert ("open" if is_open else "closed") in row
    await accessible(desk)
    await desk.picture("console-routing")


async def test_who_may_only_read_sees_a_card_payment_and_refunds_none(
    edge: Edge, desk: Desk, name: str
):
    captured = await charge(edge, f"usr-{name}", "CAPTURED")
    await desk.become("carol")
    await desk.open(f"/charges/{captured}")
    assert captured in await desk.page.text()
    assert not await desk.page.evaluate(f"!!document.querySelector({json.dumps(REFUND)})")
    act = (
        f"fetch('/charges/{captured}/refund', {{method: 'POST', headers:"
        " {'content-type': 'application/x-www-form-urlencoded'}, body: new URLSearchParams("
        "{csrf: document.querySelector('[name=csrf]').value, note: 'mine'})})"
        ".then((one) => one.text())"
    )
    assert "needs the scope cases.approve" in await desk.page.evaluate(act)
    assert (await ended(edge, captured, "CAPTURED"))["refunding_minor"] == 0
    desk.page.errors.clear()  # the browser reports the refusal
