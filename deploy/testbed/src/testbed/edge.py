"""Clients of the running system: a customer's requests and operators' look-ups."""

import asyncio
import hashlib
import itertools
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import product
from typing import Any

import httpx

from local_stack.discovery import RunningStack
from ops.clients.addresses import Addresses
from ops.clients.sessions import DEVELOPMENT_OPERATORS, session_of

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
        verify = stack.http_tls.client if stack.http_tls else True
        url = stack.url("gateway", gateway)
        self.http = httpx.AsyncClient(base_url=url, timeout=20, verify=verify)
        self._client = httpx.AsyncClient(timeout=20, verify=verify)
        addresses = Addresses({name: urls[0] for name, urls in stack.urls.items()})
        self._sessions = {name: session_of(addresses, name) for name in DEVELOPMENT_OPERATORS}

    async def close(self) -> None:
        """Close all connections."""
        await self.http.aclose()
        await self._client.aclose()
        for session in self._sessions.values():
            session.close()

    async def _as(self, operator: str) -> dict[str, str]:
        """Return the header of a development operator."""
        token = await asyncio.to_thread(self._sessions[operator].token)
        return {"Authorization": f"Bearer {token}"}

    async def admin(self, owner: str, path: str, **query: Any) -> Any:
        """Query a service's admin route."""
        url = self._stack.url(owner) + "/admin" + path
        answer = await self._client.get(url, params=query, headers=await self._as("alice"))
        answer.raise_for_status()
        return answer.json()

    async def operate(self, method: str, path: str, body: Any = None) -> httpx.Response:
        """Send an operator's request through the gateway."""
        return await self.http.request(method, path, json=body, headers=await self._as("alice"))

    async def statement(self) -> list[dict[str, Any]]:
        """Return the partner banks' bookings of today and yesterday, in UTC."""
        days = {time.strftime("%Y-%m-%d", time.gmtime(time.time() - back)) for back in (0, 86400)}
        entries: list[dict[str, Any]] = []
        banks = [
            self._stack.url(one)
            for one in ("partner_bank", "south_bank")
            if one in self._stack.urls
        ]
        for bank, day in product(banks, days):
            answer = await self._client.get(f"{bank}/statement", params={"date": day})
            entries += answer.raise_for_status().json()["entries"]
        return entries

    async def open_customers(
        self, name: str, count: int, balance_minor: int, contact: tuple[str, str] | None = None
    ) -> list[Customer]:
        """Open accounts NAME-0001 … and fetch a token for each owner.

        `contact`: phone and e-mail address of each owner, instead of ones of their own.
        """
        order = {"name": name, "owner": f"usr-{name}", "balance_minor": balance_minor}
        url = self._stack.url("confirm") + "/admin/accounts"
        headers = await self._as("alice")
        opened = await self._client.post(url, json={**order, "count": count}, headers=headers)
        answered = opened.raise_for_status().json()
        if "proposal" in answered:
            await self.approve("confirm", answered)
        numbers = [f"{number:04}" for number in range(1, count + 1)]
        contacts = []
        for n in numbers:
            user = f"usr-{name}-{n}"
            phone, email = contact or (f"+1555{n:0>7}", f"{user}@example.com")
            contacts.append({"user_id": user, "phone": phone, "email": email})
        await self._put(contacts)
        return [await self._customer(f"usr-{name}-{n}", f"{name}-{n}") for n in numbers]

    async def _customer(self, user_id: str, account: str) -> Customer:
        return Customer(user_id, account, await self.token(user_id))

    async def renew(self, customer: Customer) -> None:
        """Fetch a new token; tokens expire after 15 minutes."""
        customer.token = await self.token(customer.user_id)

    async def token(self, user_id: str, scope: str = "payment.confirm") -> str:
        """Fetch a token of a user; `scope`: separated by spaces."""
        answer = await self._client.post(
            self._stack.url("issuer") + "/token", json={"sub": user_id, "scope": scope}
        )
        token: str = answer.raise_for_status().json()["access_token"]
        return token

    async def initiate(self, user_id: str, last_name: str, first_name: str = "Anna Maria") -> str:
        """Begin a user's identity check with invented data; return a token for its next steps."""
        token = await self.token(user_id, "kyc.write")
        stated = {
            "firstName": first_name,
            "lastName": last_name,
            "dateOfBirth": "1974-08-12",
            "nationality": "UTO",
            "address": {"street": "Main St 1", "city": "Zenith", "postcode": "1", "country": "UTO"},
        }
        headers = {"Authorization": f"Bearer {token}"}
        begun = await self.http.post("/api/v1/kyc/initiate", json=stated, headers=headers)
        begun.raise_for_status()
        return token

    async def _put(self, contacts: list[dict[str, str]]) -> None:
        url = self._stack.url("notification") + "/admin/contacts"
        headers = await self._as("alice")
        answer = await self._client.post(url, json={"contacts": contacts}, headers=headers)
        answered = answer.raise_for_status().json()
        if "proposal" in answered:
            await self.approve("notification", answered)

    async def approve(self, owner: str, proposed: Mapping[str, str]) -> None:
        """Approve what alice has proposed, as bob."""
        url = f"{self._stack.url(owner)}/admin/proposals/{proposed['proposal']}/approve"
        named = {"digest": proposed["digest"]}
        answer = await self._client.post(url, json=named, headers=await self._as("bob"))
        answer.raise_for_status()

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
