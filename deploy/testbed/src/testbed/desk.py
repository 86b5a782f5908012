"""A browser of an operator at the console, and the records that its pages are about."""

import json
import os

from aiokafka import AIOKafkaProducer

from local_stack.layout import CHECKOUT
from local_stack.stack import Stack
from service_runtime.clock import SystemClock
from testbed.accessibility import faults_of_view
from testkit.chromium import Tab

PICTURES = CHECKOUT / "docs/images"
MOST_TABS = 90
"""Presses of Tab until an element has the focus."""


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
        """Press Tab until an element with a text has the focus."""
        here = f"document.activeElement.matches({json.dumps(selector)})"
        here += f" && document.activeElement.textContent.includes({json.dumps(text)})"
        for _ in range(MOST_TABS):
            if await self.page.evaluate(here):
                return
            await self.page.press("Tab")
        raise AssertionError(f"no Tab reaches {selector} {text}")

    async def enter(self) -> None:
        """Press Enter on what has the focus, and wait for the page that it leads to."""
        await self.page.evaluate("window.isOld = true")
        await self.page.press("Enter")
        await self.page.until("!window.isOld && document.readyState === 'complete'")
        await self.settle()

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
