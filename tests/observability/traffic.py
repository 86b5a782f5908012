"""Mixed payments of customers: good, refused, repeated, malformed."""

import asyncio
import time

from testbed.edge import CODE, Customer, Edge

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


_JSON = {"Content-Type": "application/json"}
