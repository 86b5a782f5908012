"""A browser of an operator at the console, and the records that its pages are about."""

import json
import os
from collections.abc import Mapping
from typing import Any

from aiokafka import AIOKafkaProducer

from local_stack.layout import CHECKOUT
from local_stack.stack import Stack
from service_runtime.clock import SystemClock
from testbed.accessibility import faults_of_view
from testkit.chromium import Tab

PICTURES = CHECKOUT / "docs/images"
MOST_TABS = 90
"""Presses of Tab until an element has the focus."""

MOST_CHOICES = 20
_RINGED = """(() => {
  const one = document.activeElement, ring = getComputedStyle(one);
  const place = one.getBoundingClientRect();
  return one.matches(":focus-visible") && ring.outlineStyle !== "none"
    && parseFloat(ring.outlineWidth) >= 2 && place.bottom > 0 && place.top < innerHeight;
})()"""
"""Whether what has the focus is in the window with an outline. Source: WCAG 2.2, 2.4.7, 2.4.11."""

_ROWS = "[...document.querySelectorAll('tbody .row-link')].map((one) => one.innerText)"


class Desk:
    """A browser of an operator at the console."""

    def __init__(self, page: Tab, url: str) -> None:
        self.page = page
        self.url = url

    async def open(self, path: str) -> None:
        """Open a page, and wait for its parts."""
        await self.page.open(self.url + path)
        await self.settle()

    async def settle(self) -> None:
        """Wait until every part of the page is there."""
        await self.page.until("!document.querySelector('[aria-busy=true]')")

    async def sign_in(self, name: str) -> None:
        """Sign in at the development issuer."""
        await self.page.open(f"{self.url}/sign-in")
        await self.page.until("!!document.querySelector('select[name=operator]')")
        choose = f"document.querySelector('select[name=operator]').value = {json.dumps(name)}"
        await self.page.evaluate(choose)
        await self.page.follow(selector="button[value=approve]")
        await self.page.sees("Now")

    async def sign_out(self) -> None:
        """Sign out by the menu."""
        await self.page.tap(selector=".who summary")
        await self.page.follow(selector=".menu form button")

    async def become(self, name: str) -> None:
        """Sign out, and sign in as another operator."""
        await self.sign_out()
        await self.sign_in(name)

    async def unfold(self) -> None:
        """Open everything that is folded, and wait until it has loaded."""
        fold = "[...document.querySelectorAll('main details')].forEach((one) => one.open = true)"
        await self.page.evaluate(f"{fold}; 1")
        loaded = "[...document.querySelectorAll('details > [data-lazy]')].every("
        await self.page.until(f"{loaded}(one) => one.innerText.trim() !== '')")

    async def reach(self, selector: str, text: str = "") -> None:
        """Press Tab until an element with a text has the focus, and see that it has."""
        here = f"document.activeElement.matches({json.dumps(selector)})"
        here += f" && document.activeElement.textContent.includes({json.dumps(text)})"
        for _ in range(MOST_TABS):
            if await self.page.evaluate(here):
                assert await self.page.evaluate(_RINGED), f"no focus is seen at {selector} {text}"
                return
            await self.page.press("Tab")
        raise AssertionError(f"no Tab reaches {selector} {text}")

    async def choose(self, selector: str, value: str) -> None:
        """Choose a value of a list by the arrow keys."""
        await self.reach(selector)
        for _ in range(MOST_CHOICES):
            if await self.page.evaluate("document.activeElement.value") == value:
                return
            await self.page.press("ArrowDown")
        raise AssertionError(f"no arrow key chooses {value} of {selector}")

    async def act(self, selector: str, text: str = "") -> None:
        """Reach an element by Tab, press Enter on it, and wait for the page that it leads to."""
        await self.reach(selector, text)
        await self.enter()

    async def search(self, **fields: str) -> list[str]:
        """Fill a search in by the keyboard, choices as well; return the rows that are found."""
        for name, value in fields.items():
            selector = f".filters [name={name}]"
            if (
                await self.page.evaluate(f"document.querySelector('{selector}').tagName")
                == "SELECT"
            ):
                await self.choose(selector, value)
            else:
                await self.reach(selector)
                await self.page.type(value)
        await self.act(".filters button", "Search")
        return await self.rows()

    async def rows(self) -> list[str]:
        """Return the titles of the rows of a list."""
        return list(await self.page.evaluate(_ROWS))

    async def enter(self) -> None:
        """Press Enter on what has the focus, and wait for the page that it leads to."""
        await self.page.evaluate("window.isOld = true")
        await self.page.press("Enter")
        await self.page.until("!window.isOld && document.readyState === 'complete'")
        await self.settle()

    async def agrees(self, known: Mapping[str, Any]) -> None:
        """Open a payment's page, and compare it with what the command shows of it."""
        await self.open(f"/payments/{known['payment']['payment_id']}")
        shown = (await self.page.text()).replace("_", " ").lower()
        assert [line for line in _lines_of(known) if line not in shown] == [], shown
        assert f"{len(known['timeline'])} entries" in shown
        count = "document.querySelectorAll('section[aria-labelledby=ledger] tbody tr').length"
        assert await self.page.evaluate(count) == len(known["payment"]["entries"])
        assert ("nothing. it" in shown) is (not known["waits_for"])

    async def faults(self) -> dict[int, list[str]]:
        """Return what is wrong with the open page: on a phone in the dark, on a desk in the light.

        A test of its own looks at every page in all four views.
        """
        found = {}
        for width, dark in ((360, True), (1440, False)):
            if wrong := await faults_of_view(self.page, width=width, dark=dark):
                found[width] = wrong
        await self.page.look(width=1280, height=900)
        return found

    async def picture(self, name: str) -> None:
        """Keep what the window shows, for the documents."""
        if not os.environ.get("PICTURES"):
            return
        picture = await self.page.picture("webp")
        (PICTURES / f"{name}.webp").write_bytes(picture)


def _lines_of(known: Mapping[str, Any]) -> list[str]:
    """Return all that the command says of a payment, as a person reads it, in lower case."""
    payment = known["payment"]
    words = [payment["state"], payment["transaction_id"], payment["uetr"], payment["payment_id"]]
    words += [row["event"] for row in known["timeline"]]
    words += [one["account_id"] for one in payment["entries"]]
    words += [one["what"] for one in known["waits_for"]]
    words += [one["partner"] for one in known["instructions"]]
    words += [one["status"] for one in known["instructions"]]
    words += [one["template"] for one in known["deliveries"]]
    words += [one["name"] for row in known["assessments"] for one in row["factors"]]
    words += [row["sanctions"] for row in known["assessments"] if row["sanctions"]]
    words += [one["state"] for one in known["challenges"]]
    words += [one["kind"] for one in known["cases"]]
    return [str(word).replace("_", " ").lower() for word in words]


async def refuse(system: Stack, *names: str, **fields: str) -> list[str]:
    """Publish records that their consumers refuse for good; return the ids of the events."""
    producer = AIOKafkaProducer(**system.brokers.arguments)
    await producer.start()
    ids = []
    for name in names:
        headers = {
            "ce_specversion": "1.0",
            "ce_id": str(SystemClock().new_id()),
            "ce_type": "settlement.requested.v1",
            "ce_source": "/test",
            "ce_time": "2026-11-20T00:00:00Z",
        }
        body = {"amount_minor": 55, "transaction_id": name, "note": "canary-9d2", **fields}
        raw = [(key, text.encode()) for key, text in headers.items()]
        value = json.dumps(body).encode()
        await producer.send_and_wait("settlement-queue", value, headers=raw)
        ids.append(headers["ce_id"])
    await producer.stop()
    return ids
