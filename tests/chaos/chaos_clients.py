"""Clients of the public API: they pay, repeat unknown outcomes, and log every response."""

import asyncio
import contextlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from random import Random
from typing import Any, Literal

import httpx
from chaos_log import Log, Operation, result_of

from testbed.edge import CODE, Customer, Edge

Kind = Literal["plain", "code", "blocked", "rejected", "guessed"]
Answer = httpx.Response | None
"""None without a response: no connection, or a timeout."""
Twist = Literal["once", "at once", "again", "other amount"]
SHARES: dict[Kind, float] = {"plain": 0.70, "code": 0.20, "blocked": 0.05, "rejected": 0.05}
TWICE: tuple[Twist, ...] = ("at once", "again", "other amount")
TWICE_SHARE = 0.10
PARTNERS = ("", "north-", "south-")
WITH_CODE_MINOR = 5_200_00
"""45 points for the amount and 40 for a new payee: a code is required."""
MOST_AT_ONCE = 64
AGAIN_AFTER_S = 0.5


@dataclass
class Payment:
    """One payment of a client, with its final response."""

    transaction_id: str
    customer: Customer
    kind: Kind
    twist: Twist
    amount_minor: int
    payee: str
    to_name: str | None = None

    @property
    def order(self) -> dict[str, str]:
        """The fields of all its requests."""
        name = {"to_name": self.to_name} if self.to_name else {}
        return {"amount": _major(self.amount_minor), "to_account": self.payee, **name}


def _major(amount_minor: int) -> str:
    return f"{amount_minor // 100}.{amount_minor % 100:02}"


def payments(chance: Random, customers: list[Customer], run: str) -> Iterator[Payment]:
    """Yield random payments without end, in the mix of the fault matrix."""
    number = 0
    while True:
        number += 1
        (kind,) = chance.choices(list(SHARES), weights=list(SHARES.values()))
        twist = chance.choice(TWICE) if chance.random() < TWICE_SHARE else "once"
        partner = chance.choice(PARTNERS)
        payee = {
            "plain": f"{partner}payee-known",
            "code": f"{partner}payee-{run}-{number}",
            "blocked": "payee-sanctioned",
            "rejected": f"{partner}payee-rejected",
        }[kind]
        minor = WITH_CODE_MINOR if kind == "code" else 10_00
        minor += chance.randrange(100)
        customer = customers[number % len(customers)]
        yield Payment(f"{run}-{number}", customer, kind, twist, minor, payee)


class Clients:
    """All clients, over all gateways."""

    def __init__(self, edges: list[Edge], log: Log) -> None:
        self._edges = edges
        self._log = log
        self._turn = 0
        self.stopping: set[int] = set()
        """Gateways that are being stopped and get no new requests: a server cannot respond to a
        request that crosses the closing of an idle connection (RFC 9112, section 9.5)."""
        self.paid: list[Payment] = []

    async def drive(
        self, drawn: Iterator[Payment], rate_per_s: float, more: Callable[[int], bool]
    ) -> None:
        """Send while `more(sent)`, with a maximum rate; return after all responses."""
        room = asyncio.Semaphore(MOST_AT_ONCE)
        sent = 0
        async with asyncio.TaskGroup() as group:
            while more(sent):
                await room.acquire()
                payment = next(drawn)
                sent += 1
                self.paid.append(payment)
                task = group.create_task(self._see_through(payment))
                task.add_done_callback(lambda _: room.release())
                await asyncio.sleep(1 / rate_per_s)

    async def _see_through(self, payment: Payment) -> None:
        if payment.twist == "at once":
            await asyncio.gather(self.until_final(payment), self.until_final(payment))
            return
        await self.until_final(payment)
        if payment.twist == "again":
            await self.until_final(payment)
        elif payment.twist == "other amount":
            other = _major(payment.amount_minor + 1)
            await self.send(payment, "other amount", amount=other)

    async def until_final(self, payment: Payment) -> None:
        """Repeat the request, as the contract requires, until its response is final."""
        code: dict[str, str] = {}
        while True:
            answer = await self.send(payment, "code" if code else "payment", **code)
            if is_final(answer):
                return
            code = _code_asked_for(answer, code)
            if not code or answer is None or answer.status_code != 403:
                await asyncio.sleep(again_after_s(answer))

    async def send(self, payment: Payment, sent: str = "payment", **more: str) -> Answer:
        """Send one request, possibly with a code or another amount; log the response."""
        body = payment.order | more
        try:
            answer = await self._at_any_gateway(payment, body)
        except httpx.HTTPError as error:
            self._note(payment, sent, 0, repr(error))
            return None
        retry_after = answer.headers.get("retry-after", "")
        self._note(payment, sent, answer.status_code, answer.text, retry_after)
        return answer

    async def _at_any_gateway(self, payment: Payment, body: dict[str, str]) -> httpx.Response:
        """Use the next gateway in turn; another if it refuses connections, as a balancer does."""
        self._turn += 1
        size = len(self._edges)
        turn = [number % size for number in range(self._turn, self._turn + size)]
        *others, last = [self._edges[number] for number in turn if number not in self.stopping]
        for edge in others:
            with contextlib.suppress(httpx.ConnectError):
                return await edge.pay(payment.customer, payment.transaction_id, **body)
        return await last.pay(payment.customer, payment.transaction_id, **body)

    def _note(
        self, payment: Payment, sent: str, status: int, body: str, retry_after: str = ""
    ) -> None:
        result = result_of(status)
        self._log.operation(
            Operation(payment.transaction_id, sent, result, status, body, retry_after)
        )


def is_final(answer: Answer) -> bool:
    """Return whether the response is final: done, declined, or a permanent refusal."""
    if answer is None:
        return False
    if answer.status_code == 403:
        return status_in(answer.text) == "DECLINED"
    return answer.status_code in {200, 400, 404, 422}


def status_in(body: str) -> Any:
    """Return the status in a response's body."""
    return json.loads(body).get("status")


def _code_asked_for(answer: Answer, code: dict[str, str]) -> dict[str, str]:
    if answer is None:
        return code
    if answer.status_code == 403:
        return {"otp_code": CODE}
    # The challenge has ended: a request without a code opens the next one.
    return {} if answer.status_code == 401 else code


def again_after_s(answer: Answer) -> float:
    """Return the seconds until the client repeats the request."""
    if answer is None:
        return AGAIN_AFTER_S
    return float(answer.headers.get("retry-after", AGAIN_AFTER_S))
