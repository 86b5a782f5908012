"""Customers with an account, a token and an address each: so many that no limit is met."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

import httpx
import orjson

from bench.client import Client
from bench.errors import BenchmarkError
from local_stack.discovery import RunningStack
from local_stack.waiting import elapsed_since, now_s

BALANCE_MINOR = 10**11
RENEW_AFTER_S = 480
"""Tokens live for fifteen minutes; no run takes as long as what is left of them."""
_SLICE = 1000
"""What the owners take at once."""
_TOKENS_AT_ONCE = 32
_WITHIN_S = 60


@dataclass(frozen=True, slots=True)
class Customer:
    """Somebody with an account and a token."""

    account: str
    token: bytes


class Customers:
    """Takes turns: whoever paid waits until all others have."""

    def __init__(self, everyone: Sequence[Customer], name: str = "") -> None:
        self._everyone = everyone
        self._name = name
        self._next = 0
        self._renewed_s = now_s()

    def of(self, number: int) -> Customer:
        """Return who makes operation `number` of the present run."""
        return self._everyone[(self._next + number) % len(self._everyone)]

    def pass_on(self, count: int) -> None:
        """Let the next run begin behind those who have just paid."""
        self._next += count

    async def keep_tokens_valid(self, stack: RunningStack) -> None:
        """Fetch new tokens where those that we have will soon be over."""
        if elapsed_since(self._renewed_s) > RENEW_AFTER_S:
            self._everyone = await _with_tokens(stack, self._name, len(self._everyone))
            self._renewed_s = now_s()


async def open_customers(stack: RunningStack, name: str, count: int) -> Customers:
    """Open accounts NAME-0001 …, note where their owners are reached, fetch a token for each."""
    secret = stack.credentials.read("internal-credential-ops")
    headers = {"Authorization": f"Bearer {secret}"}
    async with httpx.AsyncClient(headers=headers, timeout=_WITHIN_S) as operator:
        for first in range(1, count + 1, _SLICE):
            numbers = range(first, min(first + _SLICE, count + 1))
            await _open_slice(operator, stack, name, numbers)
    return Customers(await _with_tokens(stack, name, count), name)


async def _open_slice(
    operator: httpx.AsyncClient, stack: RunningStack, name: str, numbers: range
) -> None:
    accounts = {
        "name": name,
        "owner": f"usr-{name}",
        "balance_minor": BALANCE_MINOR,
        "first": numbers.start,
        "count": len(numbers),
    }
    contacts = [
        {
            "user_id": f"usr-{name}-{number:04}",
            "phone": f"+1555{number:07}",
            "email": f"{name}-{number}@example.com",
        }
        for number in numbers
    ]
    for owner, path, order in (
        ("confirm", "/admin/accounts", accounts),
        ("notification", "/admin/contacts", {"contacts": contacts}),
    ):
        answer = await operator.post(stack.url(owner) + path, json=order)
        if answer.is_error:
            raise BenchmarkError(f"{owner} opened no customers: {answer.text[:200]}")


async def _with_tokens(stack: RunningStack, name: str, count: int) -> list[Customer]:
    client = Client(stack.url("issuer"))
    found: list[Customer] = []
    for first in range(1, count + 1, _TOKENS_AT_ONCE):
        numbers = range(first, min(first + _TOKENS_AT_ONCE, count + 1))
        found += await asyncio.gather(*(_with_token(client, name, number) for number in numbers))
    client.close()
    return found


async def _with_token(client: Client, name: str, number: int) -> Customer:
    asked = orjson.dumps({"sub": f"usr-{name}-{number:04}", "scope": "payment.confirm"})
    answer = await client.post(b"/token", b"none", asked, _WITHIN_S)
    token: str = orjson.loads(answer.body)["access_token"]
    return Customer(f"{name}-{number:04}", token.encode())
