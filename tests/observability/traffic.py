"""Mixed payments of customers: good, refused, repeated, malformed; and a shop with webhooks."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web
from aiohttp.test_utils import TestServer

from testbed.edge import CODE, Customer, Edge

GROUPS = ("core", "edge")
"""The groups that run, and get traffic."""
WRONG_CODE = "000000"
_IN_FLIGHT = 8


class Traffic:
    """Sends rounds of every kind of payment, each round by new customers.

    No customer sends more than the ten requests a minute that are allowed.
    """

    def __init__(self, edge: Edge, name: str) -> None:
        self._edge = edge
        self._name = name
        self._rounds = 0

    async def drive(self, seconds: float) -> int:
        """Send rounds for some seconds; return their number."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            await self.round()
        return self._rounds

    async def round(self) -> None:
        """Send one payment of every kind."""
        self._rounds += 1
        name = f"{self._name}-{self._rounds}"
        customers = await self._edge.open_customers(name, 4, 50_000_00)
        await asyncio.gather(
            self._plain(customers[0], name),
            self._with_code(customers[1], name),
            self._refused(customers[2], name),
            self._elsewhere(customers[3], name),
            self._malformed(),
        )

    async def _plain(self, customer: Customer, name: str) -> None:
        for number in range(3):
            await self._edge.pay(customer, f"{name}-plain-{number}")
        await self._edge.pay(customer, f"{name}-plain-0")

    async def _with_code(self, customer: Customer, name: str) -> None:
        tx = f"{name}-code"
        order = {"amount": "5200.00", "to_account": f"payee-{name}"}
        await self._edge.pay(customer, tx, **order)
        await self._edge.pay(customer, tx, **order, otp_code=WRONG_CODE)
        await self._edge.pay(customer, tx, **order, otp_code=CODE)

    async def _refused(self, customer: Customer, name: str) -> None:
        await self._edge.pay(customer, f"{name}-listed", to_account="payee-sanctioned")
        await self._edge.pay(customer, f"{name}-returned", to_account="payee-rejected")
        await self._edge.pay(customer, f"{name}-poor", amount="60000.00")

    async def _elsewhere(self, customer: Customer, name: str) -> None:
        for partner in ("north", "south"):
            await self._edge.pay(customer, f"{name}-{partner}", to_account=f"{partner}-known")
        await self._edge.payment(customer, f"{name}-north")

    async def _malformed(self) -> None:
        await self._edge.http.post("/payment/confirm", content=b"{", headers=_JSON)


@asynccontextmanager
async def receiver() -> AsyncIterator[str]:
    """Serve an endpoint that accepts every webhook; yield its address."""

    async def accept(_request: web.Request) -> web.Response:
        return web.Response(status=204)

    app = web.Application()
    app.router.add_post("/", accept)
    async with TestServer(app) as server:
        yield str(server.make_url("/"))


async def pay_with_webhooks(edge: Edge, name: str, url: str, seconds: float) -> None:
    """Let a customer register an endpoint, and pay every six seconds."""
    (customer,) = await edge.open_customers(name, 1, 50_000_00)
    token = await edge.token(customer.user_id, "webhooks.write")
    answer = await edge.http.post(
        "/api/v1/webhooks/endpoints",
        json={"url": url, "event_types": ["payment.confirmed", "payment.settled"]},
        headers={"Authorization": f"Bearer {token}"},
    )
    answer.raise_for_status()
    for number in range(int(seconds / 6)):
        await edge.pay(customer, f"{name}-{number}")
        await asyncio.sleep(6)


_JSON = {"Content-Type": "application/json"}
