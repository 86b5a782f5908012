"""Merchants of `make chaos-charges`: they charge, refund, capture and cancel.

They repeat what has no outcome, under the same Idempotency-Key, and keep every response.
"""

import asyncio
import itertools
import json
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from random import Random
from typing import Any, Literal

import httpx
from chaos_arena import until

Kind = Literal["plain", "refunded", "captured", "cancelled", "revoked", "soft", "hard"]
"""`revoked`: cancelled at once, whether or not there is an outcome."""
SHARES: dict[Kind, float] = {
    "plain": 0.25,
    "refunded": 0.30,
    "captured": 0.10,
    "cancelled": 0.10,
    "revoked": 0.10,
    "soft": 0.10,
    "hard": 0.05,
}
SOURCES = {
    "soft": ("tok_soft", "tok_soft_stripe", "tok_soft_adyen"),
    "hard": ("tok_hard", "tok_hard_stripe", "tok_hard_adyen"),
}
REFUND_SHARE = 0.4
"""Three refunds of this share of the amount at once: two of them fit."""
TWICE_SHARE = 0.2
MOST_AT_ONCE = 64
AGAIN_AFTER_S = 1.0
WITHIN_S = 90.0
"""For one outcome, from a service that is killed again and again; generous, because the machine
may be shared."""
NO_OUTCOME = frozenset({0, 202, 409, 429, 500, 502, 503, 504})
REFUSED = 409
PAYMENTS = "/api/v1/payments"


@dataclass
class Request:
    """A request of a merchant, with every response; status 0: none."""

    path: str
    body: dict[str, Any]
    key: str
    responses: list[tuple[int, str]] = field(default_factory=list)

    @property
    def final(self) -> set[tuple[int, str]]:
        """The responses that are an outcome; of one request all are the same.

        A refusal is stored under no key: a repeat may name a later state of the charge.
        """
        return {_without_state(*one) for one in self.responses if is_final(*one)}


@dataclass
class CardPayment:
    """One payment with what its merchant does afterwards."""

    kind: Kind
    amount_minor: int
    is_twice: bool
    charge: Request
    changes: list[Request] = field(default_factory=list)

    @property
    def transaction_id(self) -> str | None:
        """The id in any response; None where none named it."""
        bodies = (json.loads(body) for status, body in self.charge.responses if status)
        return next((one["transactionId"] for one in bodies if "transactionId" in one), None)

    @property
    def outcome(self) -> str | None:
        """The status in the final response."""
        bodies = (json.loads(body) for _, body in self.charge.final)
        return next((one.get("status") for one in bodies), None)


def is_final(status: int, body: str) -> bool:
    """Whether a response is an outcome: done, declined, a refund that is accepted, or a refusal."""
    if status in {202, REFUSED}:
        # A refund's 202 has data, a payment's has none. A refusal names the charge's state; a
        # request in progress does not.
        return bool({"data", "details"} & json.loads(body).keys())
    return status not in NO_OUTCOME


def _without_state(status: int, body: str) -> tuple[int, str]:
    return (status, json.loads(body)["error"]) if status == REFUSED else (status, body)


def card_payments(chance: Random, run: str) -> Iterator[CardPayment]:
    """Yield random payments without end."""
    for number in itertools.count(1):
        (kind,) = chance.choices(list(SHARES), weights=list(SHARES.values()))
        amount = 1_000 + chance.randrange(1_000)
        body: dict[str, Any] = {
            "amount": amount,
            "currency": "USD",
            "source": chance.choice(SOURCES.get(kind, ("tok_test",))),
            "email": "donor@example.com",
        }
        if kind in {"captured", "cancelled"}:
            body["capture"] = False
        charge = Request("/pay", body, f"{run}-{number}")
        yield CardPayment(kind, amount, chance.random() < TWICE_SHARE, charge)


class Merchants:
    """All merchants, with one token, through the gateway."""

    def __init__(self, http: httpx.AsyncClient, token: str) -> None:
        self._http = http
        self._token = {"Authorization": f"Bearer {token}"}
        self.paid: list[CardPayment] = []

    async def drive(self, drawn: Iterator[CardPayment], rate_per_s: float, load_s: float) -> None:
        """Charge for some time at a rate; return once every request has its outcome."""
        room, end_s = asyncio.Semaphore(MOST_AT_ONCE), time.monotonic() + load_s
        async with asyncio.TaskGroup() as group:
            while time.monotonic() < end_s:
                await room.acquire()
                self.paid.append(payment := next(drawn))
                task = group.create_task(self._see_through(payment))
                task.add_done_callback(lambda _: room.release())
                await asyncio.sleep(1 / rate_per_s)

    async def _see_through(self, payment: CardPayment) -> None:
        if payment.kind == "revoked":
            await self._revoke(payment)
        copies = 1 + payment.is_twice
        await asyncio.gather(*(self.until_final(payment.charge) for _ in range(copies)))
        match payment.kind, payment.outcome:
            case "refunded", "success":
                await self._refund(payment)
            case (("captured" | "cancelled"), "authorized"):
                act = "capture" if payment.kind == "captured" else "cancel"
                await self._change(payment, act, {})

    async def _revoke(self, payment: CardPayment) -> None:
        async def is_named() -> bool:
            await self.send(payment.charge)
            return payment.transaction_id is not None

        await self._until(is_named, payment.charge)
        await self._change(payment, "cancel", {})

    async def _refund(self, payment: CardPayment) -> None:
        async def is_captured() -> bool:
            return (await self.read(payment)).get("status") == "CAPTURED"

        await self._until(is_captured, payment.charge)
        amount = {"amount": int(payment.amount_minor * REFUND_SHARE)}
        await asyncio.gather(*(self._change(payment, "refunds", amount) for _ in range(3)))

    async def _change(self, payment: CardPayment, act: str, body: dict[str, Any]) -> None:
        key = f"{payment.charge.key}-{act}-{len(payment.changes)}"
        path = f"{PAYMENTS}/{payment.transaction_id}/{act}"
        payment.changes.append(request := Request(path, body, key))
        await self.until_final(request)

    async def until_final(self, request: Request) -> None:
        """Repeat a request until its response is an outcome; raise NotHealedError past the time."""

        async def is_done() -> bool:
            return is_final(*await self.send(request))

        await self._until(is_done, request)

    async def _until(self, true: Callable[[], Awaitable[bool]], request: Request) -> None:
        async def there() -> bool:
            if await true():
                return True
            await asyncio.sleep(AGAIN_AFTER_S)
            return False

        await until(there, WITHIN_S, f"no outcome of {request.path}, {request.key}")

    async def send(self, request: Request) -> tuple[int, str]:
        """Send a request once; keep its response."""
        headers = self._token | {"Idempotency-Key": request.key}
        try:
            found = await self._http.post(request.path, json=request.body, headers=headers)
            response = found.status_code, found.text
        except httpx.HTTPError as error:
            response = 0, repr(error)
        request.responses.append(response)
        return response

    async def read(self, payment: CardPayment) -> dict[str, Any]:
        """Return what the service says of a payment; empty where there is no response."""
        return await self.read_of(payment.transaction_id or "")

    async def read_of(self, transaction_id: str) -> dict[str, Any]:
        """Return the same by the payment's id."""
        try:
            found = await self._http.get(f"{PAYMENTS}/{transaction_id}", headers=self._token)
        except httpx.HTTPError:
            return {}
        data: dict[str, Any] = found.json()["data"] if found.status_code == httpx.codes.OK else {}
        return data
