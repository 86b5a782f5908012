"""Customers with an account, a token and a contact, enough to stay below all limits."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

import orjson

from bench.client import Client
from bench.errors import BenchmarkError
from bench.system import System
from local_stack.discovery import RunningStack
from local_stack.waiting import elapsed_since, now_s
from ops.clients.openings import OpeningRequest, open_in_development
from ops.domain.errors import OpsError
from payment_schemas.money import DEFAULT_CURRENCY

BALANCE_MINOR = 10**11
RENEW_AFTER_S = 480
"""Tokens expire after 15 minutes; no run takes longer than the remaining time."""
_TOKENS_AT_ONCE = 32
_WITHIN_S = 60


@dataclass(frozen=True, slots=True)
class Customer:
    """A customer with an account and a token."""

    account: str
    token: bytes


class Customers:
    """Assigns customers in turn."""

    def __init__(self, everyone: Sequence[Customer], name: str = "") -> None:
        self._everyone = everyone
        self._name = name
        self._next = 0
        self._renewed_s = now_s()

    def of(self, number: int) -> Customer:
        """Return the customer of operation `number` of the current run."""
        return self._everyone[(self._next + number) % len(self._everyone)]

    def pass_on(self, count: int) -> None:
        """Start the next run after the last used customer."""
        self._next += count

    async def keep_tokens_valid(self, stack: RunningStack) -> None:
        """Fetch new tokens if the current ones expire soon."""
        if elapsed_since(self._renewed_s) > RENEW_AFTER_S:
            self._everyone = await _with_tokens(stack, self._name, len(self._everyone))
            self._renewed_s = now_s()


async def open_customers(system: System, name: str, count: int) -> Customers:
    """Open accounts NAME-0001 …, with contacts and tokens of their owners."""
    request = OpeningRequest(name, f"usr-{name}", BALANCE_MINOR, DEFAULT_CURRENCY, count)
    try:
        open_in_development(system.addresses, [request])
    except OpsError as error:
        raise BenchmarkError(f"no customers: {error}") from None
    return Customers(await _with_tokens(system.found, name, count), name)


async def _with_tokens(stack: RunningStack, name: str, count: int) -> list[Customer]:
    client = Client(stack.url("issuer"))
    found: list[Customer] = []
    for first in range(1, count + 1, _TOKENS_AT_ONCE):
        numbers = range(first, min(first + _TOKENS_AT_ONCE, count + 1))
        found += await asyncio.gather(*(_with_token(client, name, number) for number in numbers))
    client.close()
    return found


async def _with_token(client: Client, name: str, number: int) -> Customer:
    body = orjson.dumps({"sub": f"usr-{name}-{number:04}", "scope": "payment.confirm"})
    answer = await client.post(b"/token", b"none", body, _WITHIN_S)
    token: str = orjson.loads(answer.body)["access_token"]
    return Customer(f"{name}-{number:04}", token.encode())
