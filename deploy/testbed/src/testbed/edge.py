"""Clients of the running system: a customer's requests and operators' look-ups."""

import asyncio
import hashlib
import itertools
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx

from local_stack.discovery import RunningStack

FINAL_SETTLEMENT = ("SETTLED", "REJECTED")
CODE = "789012"
"""The one-time code of the development profile."""


@dataclass
class Customer:
    """A customer with an account and a token."""

    user_id: str
    account: str
    token: str

    @property
    def headers(self) -> dict[str, str]:
        """The headers of the customer's requests."""
        return {"Authorization": f"Bearer {self.token}"}


@dataclass
class Outcome:
    """One operation with its responses: ok, fail or unknown, as in Jepsen."""

    transaction_id: str
    customer: Customer
    answers: list[tuple[int, str]] = field(default_factory=list)

    @property
    def acknowledged(self) -> bool:
        """Whether a response was SUCCESS or 202."""
        return any(status in (200, 202) for status, _ in self.answers)


class Edge:
    """An HTTP client of a running system."""

    def __init__(self, stack: RunningStack, gateway: int = 0) -> None:
        self._stack = stack
        self.http = httpx.AsyncClient(base_url=stack.url("gateway", gateway), timeout=20)
        secret = stack.credentials.read("internal-credential-ops")
        self._operator = httpx.AsyncClient(
            headers={"Authorization": f"Bearer {secret}"}, timeout=20
        )

    async def close(self) -> None:
        """Close all connections."""
        await self.http.aclose()
        await self._operator.aclose()

    async def admin(self, owner: str, path: str, **query: Any) -> Any:
        """Query a service's admin route."""
        answer = await self._operator.get(self._stack.url(owner) + "/admin" + path, params=query)
        answer.raise_for_status()
        return answer.json()

    async def statement(self) -> list[dict[str, Any]]:
        """Return the partner banks' bookings of today and yesterday, in UTC."""
        days = {time.strftime("%Y-%m-%d", time.gmtime(time.time() - back)) for back in (0, 86400)}
        entries: list[dict[str, Any]] = []
        for day in days:
            url = self._stack.url("partner_bank") + "/statement"
            answer = await self._operator.get(url, params={"date": day})
            entries += answer.raise_for_status().json()["entries"]
        return entries

    async def open_customers(self, name: str, count: int, balance_minor: int) -> list[Customer]:
        """Open accounts NAME-0001 … and fetch a token for each owner."""
        order = {"name": name, "owner": f"usr-{name}", "balance_minor": balance_minor}
        url = self._stack.url("confirm") + "/admin/accounts"
        opened = await self._operator.post(url, json={**order, "count": count})
        opened.raise_for_status()
        numbers = [f"{number:04}" for number in range(1, count + 1)]
        await self._reach([(f"usr-{name}-{n}", f"+1555{n:0>7}") for n in numbers])
        return [await self._customer(f"usr-{name}-{n}", f"{name}-{n}") for n in numbers]

    async def _customer(self, user_id: str, account: str) -> Customer:
        return Customer(user_id, account, await self._token(user_id))

    async def renew(self, customer: Customer) -> None:
        """Fetch a new token; tokens expire after 15 minutes."""
        customer.token = await self._token(customer.user_id)

    async def _token(self, user_id: str) -> str:
        answer = await self._operator.post(
            self._stack.url("issuer") + "/token",
            json={"sub": user_id, "scope": "payment.confirm"},
        )
        token: str = answer.raise_for_status().json()["access_token"]
        return token

    async def reach(self, customer: Customer, phone: str, email: str) -> None:
        """Set a customer's contact."""
        await self._put([{"user_id": customer.user_id, "phone": phone, "email": email}])

    async def _reach(self, phones: list[tuple[str, str]]) -> None:
        await self._put(
            [
                {"user_id": user, "phone": phone, "email": f"{user}@example.com"}
                for user, phone in phones
            ]
        )

    async def _put(self, contacts: list[dict[str, str]]) -> None:
        url = self._stack.url("notification") + "/admin/contacts"
        (await self._operator.post(url, json={"contacts": contacts})).raise_for_status()

    async def confirm(self, customer: Customer | None, **body: Any) -> httpx.Response:
        """Send one `POST /payment/confirm`; without a customer, without a token."""
        headers = customer.headers if customer else {}
        return await self.http.post("/payment/confirm", json=body, headers=headers)

    async def pay(self, customer: Customer, transaction_id: str, **body: Any) -> httpx.Response:
        """Confirm a payment with a key that is derived from the transaction."""
        return await self.confirm(
            customer,
            transaction_id=transaction_id,
            idempotency_key=key_of(transaction_id),
            from_account=customer.account,
            **{"amount": "50.00", "to_account": "payee-known", **body},
        )

    async def payment(self, customer: Customer, transaction_id: str) -> dict[str, Any]:
        """Return the status of a payment."""
        answer = await self.http.get(f"/payment/{transaction_id}", headers=customer.headers)
        found: dict[str, Any] = answer.json() if answer.status_code == httpx.codes.OK else {}
        return found

    async def until(
        self, customer: Customer, transaction_id: str, *settlement: str, within_s: float = 60
    ) -> dict[str, Any]:
        """Poll a payment until a settlement status or DECLINED; return its last state."""
        deadline = time.monotonic() + within_s
        for pause_s in looking_again_after_s():
            found = await self.payment(customer, transaction_id)
            done = found.get("settlement_status") in (settlement or FINAL_SETTLEMENT)
            if done or found.get("status") == "DECLINED" or time.monotonic() > deadline:
                return found
            await asyncio.sleep(pause_s)
        raise AssertionError("the pauses never end")


def looking_again_after_s() -> Iterator[float]:
    """Yield pauses between reads, for at most 60 reads a minute."""
    yield from itertools.repeat(0.1, 20)
    yield from itertools.repeat(1.5)


def key_of(transaction_id: str) -> str:
    """Return the idempotency key of `pay` for a transaction."""
    return hashlib.sha256(transaction_id.encode()).hexdigest()
