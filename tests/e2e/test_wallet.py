"""The wallet in a real browser, on the real system: a person pays once, whatever happens.

`make pictures` also writes the screenshots of docs/images.
"""

import asyncio
import json
import os
from base64 import b64decode
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import pytest

from local_stack.layout import CHECKOUT
from local_stack.stack import Stack
from testbed.accessibility import faults_of_view
from testbed.edge import CODE, Customer, Edge
from testkit.chromium import Chromium, Tab

pytestmark = [pytest.mark.stack, pytest.mark.timeout(120)]

IS_DRAWN = bool(os.environ.get("PICTURES"))
IMAGES, OTHERS = CHECKOUT / "docs/images", CHECKOUT / "build/wallet"
SHOWN = {"sign-in-320-dark", "pay-390-light", "code-390-light", "settled-390-light"}
SHOWN |= {"code-390-dark", "payments-1280-light", "returned-390-dark"}
"""The pictures of docs/images; the others are only looked at."""
OPENING_MINOR = 10_000_00
PASSWORD = "correct horse battery"
WIDTHS = (320, 390, 1280)
TOO_SMALL = """
[...document.querySelectorAll("button, a.button, a.row, label.choice, input:not([type=radio])")]
  .filter((one) => one.checkVisibility() && one.getBoundingClientRect().height < 24)
  .map((one) => one.outerHTML)
"""


@pytest.fixture
async def customer(edge: Edge, name: str) -> Customer:
    """A customer with 10,000.00."""
    (made,) = await edge.open_customers(name, 1, OPENING_MINOR)
    return made


class Wallet:
    """The page of one customer, and what it has sent."""

    def __init__(self, tab: Tab, url: str, customer: Customer) -> None:
        self.tab = tab
        self.url = url
        self.customer = customer
        self.sent: list[tuple[str, str]] = []
        """Idempotency key and transaction of each confirmation, which are all that can be read."""
        self.responded = asyncio.Event()
        self.lost = 0
        """How many of the next responses are lost on their way."""

    async def open(self) -> None:
        """Sign in as the customer, whom the page does not offer; open the page."""
        user, account = self.customer.user_id, self.customer.account
        shown = {"user": user, "name": "Eve Adams", "accounts": [account], "phone": "+15550000001"}
        session = json.dumps(json.dumps({"customer": shown}))
        name = "countersign.wallet.session"
        await self.tab.before_each_page(f"sessionStorage.setItem('{name}', {session})")
        await self.tab.call(
            "Fetch.enable",
            patterns=[{"urlPattern": "*/payment/confirm", "requestStage": "Response"}],
        )
        self.tab.on("Fetch.requestPaused", self._responded)
        await self.tab.open(f"{self.url}/app")
        await self.tab.sees("Hello, Eve")

    async def _responded(self, event: dict[str, Any]) -> None:
        """The gateway has responded: note the request, and pass the response on or lose it."""
        request = event["request"]
        key = {name.lower(): value for name, value in request["headers"].items()}["idempotency-key"]
        header = request["postData"].partition(".")[0]
        self.sent.append((key, json.loads(b64decode(header + "==", b"-_"))["transaction_id"]))
        self.responded.set()
        self.lost -= 1
        about = {"requestId": event["requestId"]}
        if self.lost >= 0:
            await self.tab.call("Fetch.failRequest", errorReason="ConnectionReset", **about)
        else:
            await self.tab.call("Fetch.continueRequest", **about)

    async def fill(self, payee: str = "Harbour Books", amount: str = "5200.00") -> None:
        """Write a payment, up to its confirmation."""
        await self.tab.tap("Send money")
        await self.tab.tap(payee, "label")
        await self.tab.evaluate("document.getElementById('amount').focus()")
        await self.tab.type(amount)
        await self.tab.tap("Continue")
        await self.tab.sees("Check and confirm")

    async def enter(self, code: str) -> None:
        """Type a code and send it."""
        await self.tab.until("document.activeElement?.id === 'code'")
        await self.tab.type(code)
        await self.tab.tap("Confirm with this code")

    async def settled(self) -> None:
        """Wait until the page says that the payment is settled."""
        await self.tab.sees("The payee's bank has booked the payment.")

    @property
    def attempts(self) -> set[tuple[str, str]]:
        """The different keys and transactions that were sent."""
        return set(self.sent)


@pytest.fixture
async def wallet(browser: Chromium, edge: Edge, customer: Customer) -> AsyncIterator[Wallet]:
    """The page of the customer, on a phone."""
    async with browser.tab() as tab:
        await tab.look(width=390)
        opened = Wallet(tab, str(edge.http.base_url).rstrip("/"), customer)
        await opened.open()
        yield opened
        assert tab.faults == []


def save(name: str, picture: bytes) -> None:
    """Write a picture."""
    folder = IMAGES if name in SHOWN else OTHERS
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"wallet-{name}.png").write_bytes(picture)


async def paid_minor(edge: Edge, customer: Customer) -> int:
    """Return what has left the customer's account."""
    found = await edge.admin("confirm", "/accounts", prefix=customer.account)
    (account,) = found["accounts"]
    left: int = OPENING_MINOR - account["balance_minor"]
    return left


async def inspected(tab: Tab, view: str) -> None:
    """Hold a view to WCAG 2.2 AA in both schemes, at 320 px; write its pictures."""
    for dark in (False, True):
        assert await faults_of_view(tab, width=320, dark=dark) == [], (view, dark)
        assert await tab.evaluate(TOO_SMALL) == [], view
        for width in WIDTHS if IS_DRAWN else ():
            await tab.look(width=width, dark=dark, height=900)
            scheme = "dark" if dark else "light"
            save(f"{view}-{width}-{scheme}", await tab.picture())
    await tab.look(width=390)


async def test_a_person_pays_with_a_code_and_sees_the_payment_settle(
    wallet: Wallet, edge: Edge, customer: Customer
):
    """The story of the four printed calls: payment, code, settled; each view is accessible."""
    tab = wallet.tab
    await inspected(tab, "empty")
    await wallet.fill()
    await inspected(tab, "review")
    await tab.tap("Confirm $5,200.00")
    await tab.sees("Enter the code")
    await wallet.enter("000000")
    await tab.sees("This code is not right. 4 tries are left.")
    await tab.sees(f"Fill in {CODE}")
    await inspected(tab, "code")
    await wallet.enter(CODE)
    await wallet.settled()
    await inspected(tab, "settled")
    await tab.tap("All payments")
    await tab.sees("Settled")
    await inspected(tab, "payments")
    assert len(wallet.attempts) == 1
    assert await paid_minor(edge, customer) == 5_200_00


async def test_a_lost_connection_in_mid_confirm_never_makes_a_second_payment(
    wallet: Wallet, edge: Edge, customer: Customer
):
    """The gateway has taken the payment; the response and then the network are lost."""
    wallet.lost = 1
    await wallet.fill("Linden Bakery", "75.00")
    await wallet.tab.tap("Confirm $75.00")
    await wallet.responded.wait()
    await wallet.tab.connected(to_network=False)
    await wallet.tab.sees("No connection. Payments go on when it is back.")
    await wallet.tab.sees("Try now")
    await inspected(wallet.tab, "no-connection")
    await wallet.tab.tap("Try now")
    await wallet.tab.connected(to_network=True)
    await wallet.settled()
    assert len(wallet.sent) > 1
    assert len(wallet.attempts) == 1
    assert await paid_minor(edge, customer) == 75_00


async def test_a_double_tap_and_the_back_button_pay_once(
    wallet: Wallet, edge: Edge, customer: Customer
):
    await wallet.fill()
    await wallet.tab.tap("Confirm $5,200.00", times=2)
    await wallet.tab.sees("Enter the code")
    await wallet.tab.evaluate("history.back()")
    await wallet.tab.until("location.hash === '#/pay'")
    assert await wallet.tab.evaluate("document.getElementById('amount').value") == ""
    await wallet.tab.evaluate("history.forward()")
    await wallet.enter(CODE)
    await wallet.settled()
    assert len(wallet.attempts) == 1
    assert await paid_minor(edge, customer) == 5_200_00


async def test_a_reload_goes_on_with_the_same_attempt(
    wallet: Wallet, edge: Edge, customer: Customer
):
    await wallet.fill()
    await wallet.tab.tap("Confirm $5,200.00")
    await wallet.tab.sees("Enter the code")
    before = wallet.attempts
    await wallet.tab.call("Page.reload")
    await wallet.tab.until("performance.getEntriesByType('navigation')[0].type === 'reload'")
    await wallet.tab.evaluate("location.hash = '#/'")
    await wallet.fill()
    await wallet.tab.sees("still in progress. This would be another one.")
    await inspected(wallet.tab, "another")
    await wallet.tab.evaluate("location.hash = '#/'")
    await wallet.tab.sees("Hello, Eve")
    await wallet.tab.tap("Harbour Books")
    await wallet.enter(CODE)
    await wallet.settled()
    assert wallet.attempts == before
    assert await paid_minor(edge, customer) == 5_200_00


async def test_what_cannot_be_paid_says_what_to_do(wallet: Wallet, edge: Edge, customer: Customer):
    tab = wallet.tab
    await tab.tap("Send money")
    await tab.tap("Continue")
    await tab.sees("Choose who gets the money.")
    await tab.sees("Enter an amount.")
    await inspected(tab, "mistakes")
    await tab.evaluate("location.hash = '#/'")
    await wallet.fill("Meridian Trading", "20.00")
    await tab.tap("Confirm $20.00")
    await tab.sees("This payment cannot be made")
    await inspected(tab, "declined")
    await tab.evaluate("location.hash = '#/'")
    await wallet.fill("Old Mill Inn", "20.00")
    await tab.tap("Confirm $20.00")
    await tab.sees("The money is back on your account.")
    await inspected(tab, "returned")
    assert await paid_minor(edge, customer) == 0


async def test_a_person_signs_in_and_pays_by_keyboard_alone(browser: Chromium, system: Stack):
    """In the dark, at 320 px. Tab moves, Enter and Space act; the heading has the focus first."""
    async with browser.tab() as tab:
        await tab.look(width=320, dark=True)
        await tab.open(system.description().url("gateway") + "/app")
        await tab.sees("Who is paying?")
        await inspected(tab, "sign-in")
        await tab.look(width=320, dark=True)
        await reach(tab, "Ada Fields")
        await tab.press("Enter")
        await tab.sees("Hello, Ada")
        assert await tab.evaluate("document.activeElement.tagName") == "H1"
        await reach(tab, "Send money")
        await tab.press("Enter")
        await tab.sees("From account")
        await inspected(tab, "pay")
        await tab.look(width=320, dark=True)
        await reach(tab, "amount", "document.activeElement.id")
        await tab.type("1.25")
        await reach(tab, "payee-xyz", "document.activeElement.value")
        await tab.press("ArrowDown")  # to Linden Bakery
        await reach(tab, "Continue")
        await tab.press("Tab", shift=True)
        assert "Continue" not in await tab.evaluate("document.activeElement.innerText")
        await reach(tab, "Continue")
        await tab.press("Enter")
        await reach(tab, "Confirm $1.25")
        await tab.press(" ")
        await tab.sees("Linden Bakery")
        await tab.sees("The payee's bank has booked the payment.")
        said = await tab.evaluate("document.getElementById('announcer').textContent")
        assert said == "The payee's bank has booked the payment."
        assert tab.faults == []


async def test_a_person_opens_an_account_of_identity_and_is_told_about_a_foreign_account(
    browser: Chromium, system: Stack
):
    system.start_services(["identity", "webhooks"])  # a whole group, as `make up` starts
    async with browser.tab() as tab:
        await tab.look(width=390)
        await tab.open(system.description().url("gateway") + "/app")
        await tab.sees("Or sign in with your account")
        await inspected(tab, "accounts")
        for name, text in (("email", f"{uuid4().hex}@example.com"), ("password", PASSWORD)):
            await tab.evaluate(f"document.getElementById('{name}').focus()")
            await tab.type(text)
        await tab.tap("Open an account")
        await tab.sees("Hello,")
        await tab.tap("Send money")
        await tab.tap("You have no account yet?")
        await tab.sees("countersign --as bob approve")
        await inspected(tab, "own-account")
        for name, text in (("amount", "5"), ("from", "acc-1")):
            await tab.evaluate(f"document.getElementById('{name}').focus()")
            await tab.type(text)
        await tab.tap("Linden Bakery", "label")
        await tab.tap("Continue")
        await tab.call("Page.reload")  # the session and what was typed are kept
        await tab.tap("Confirm $5.00")
        await tab.sees("acc-1 is no account of yours.")
        await inspected(tab, "refused")
        await tab.tap("Correct it")
        await tab.until("document.getElementById('from')?.value === 'acc-1'")
        await tab.tap("Continue")
        await tab.sees("Check and confirm")
        await tab.tap("Sign out")
        await tab.sees("Who is paying?")
        assert tab.faults == []


async def reach(tab: Tab, text: str, of: str = "document.activeElement.innerText") -> None:
    """Press Tab until the focus is on an element with a text."""
    for _ in range(30):
        if text in str(await tab.evaluate(of)):
            assert await tab.evaluate("document.activeElement.matches(':focus-visible')")
            return
        await tab.press("Tab")
    raise AssertionError(f"the keyboard never comes to {text}")
