"""What the routes share."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import orjson
from fastapi import Depends, HTTPException, Request
from fastapi.responses import Response

from charges.clients import DisputeReport, Provider, Report, Router
from charges.clients.vault import Codes, Vault
from charges.domain.acts import Refusal
from charges.domain.answers import usage_answer
from charges.domain.charge import Charge
from charges.domain.ids import charge_id_of, transaction_id
from charges.store import Charges, Refunds, Waiting
from service_runtime.clock import Clock
from service_runtime.compute import Executor
from service_runtime.edge import Access, Admission
from service_runtime.http_unit import Act, HttpUnitOfWork, Reply
from service_runtime.lanes import Place
from service_runtime.messages import Cause, Due, Emit
from service_runtime.ports import Database
from service_runtime.sealing import Sealer
from service_runtime.web import JsonResponse

SCOPE = "charges.write"
PATH = "/api/v1/payments"
POLL_S = 0.5
"""For an outcome that another instance has saved."""
REFUSED = 400
_STATUS = {None: 202, "declined": 402, "failed": 402}


Apply = Callable[[Sequence[Report | DisputeReport], Refunds, Cause], Awaitable[list[Emit]]]
Plan = Callable[[Sequence[Due[Charge]], Charges], Awaitable[Mapping[UUID, Any]]]


@dataclass(frozen=True, slots=True)
class Api:
    """What the routes need."""

    requests: HttpUnitOfWork
    database: Database
    admission: Admission
    providers: Mapping[str, Provider]
    apply: Mapping[str, Apply]
    """Applies the webhooks of a provider."""
    router: Router
    vault: Vault
    codes: Codes
    emails: Sealer
    """Seals customers' addresses until their charges have ended."""
    threads: Executor
    """For what computes for long."""
    waiting: Waiting
    clock: Clock
    place: Callable[[], AbstractContextManager[Place | None]]
    """Reserves a lane for a new charge."""
    plan: Plan
    """Chooses a new charge's provider, and notes that it is called."""
    wake: Callable[[], None]
    """Looks for due charges now."""
    wake_refunds: Callable[[], None]
    wake_cards: Callable[[], None]
    """Looks for cards that providers are to store."""
    answer_within_s: float
    unscored_most_minor: int
    writes_per_minute: int
    reads_per_minute: int

    def writer(self) -> Any:
        """Return the dependency that yields the caller of a write."""
        access = Access(SCOPE, self.writes_per_minute, limit="charges")
        return Depends(self.admission.require(access))

    def reader(self) -> Any:
        """Return the dependency that yields the caller of a read."""
        access = Access(SCOPE, self.reads_per_minute, limit="read")
        return Depends(self.admission.require(access))

    async def run(
        self, request: Request, caller: str, act: Act, key: str | None = None
    ) -> Response:
        """Commit a change; what has become due by it is done at once."""
        response = await self.requests.run(request, caller, act, key=key)
        self.wake()
        return response

    async def answered(
        self, response: Response, user_id: str, changed: asyncio.Event, *, is_new: bool
    ) -> Response:
        """Return the outcome of the charge that a stored reply names, or 202 past the time.

        `changed` is set when it has changed; of a new one there is nothing to read before.
        """
        if response.status_code >= REFUSED:
            return response
        charge_id = UUID(orjson.loads(response.body)["charge_id"])
        with self.waiting.on(charge_id, changed):
            charge, outcome = await self._outcome(charge_id, user_id, changed, is_new=is_new)
        headers = {} if outcome else {"Location": f"{PATH}/{transaction_id(charge_id)}"}
        return JsonResponse(usage_answer(charge, outcome), _STATUS.get(outcome, 200), headers)

    async def _outcome(
        self, charge_id: UUID, user_id: str, changed: asyncio.Event, *, is_new: bool
    ) -> tuple[Charge, str | None]:
        loop = asyncio.get_running_loop()
        until_s = loop.time() + self.answer_within_s
        if is_new:
            await within(POLL_S, changed)
        while True:
            changed.clear()
            charge, outcome = await self._now(charge_id, user_id)
            left_s = until_s - loop.time()
            if outcome or left_s <= 0:
                return charge, outcome
            await within(left_s, changed)

    async def _now(self, charge_id: UUID, user_id: str) -> tuple[Charge, str | None]:
        async with self.database.transaction() as tx:
            found = await Charges(tx).found(charge_id, user_id)
        if found is None:
            raise HTTPException(404, f"Unknown payment: {transaction_id(charge_id)}")
        charge, row = found
        return charge, row["outcome"]


async def within(left_s: float, changed: asyncio.Event) -> None:
    """Wait for a change, of another instance too, for POLL_S at most."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(min(POLL_S, left_s)):
            await changed.wait()


def known_id(text: str) -> UUID:
    """Return a charge's id; answer 404 for what is no id."""
    if (found := charge_id_of(text)) is None:
        raise HTTPException(404, f"Unknown payment: {text[:64]}")
    return found


def unknown(charge_id: UUID) -> Reply:
    """Return 404 for a charge that the caller does not have."""
    return Reply({"error": f"Unknown payment: {transaction_id(charge_id)}"}, status=404)


def refused(refusal: Refusal, charge: Charge) -> Reply:
    """Return 409 for an act that the charge's state does not allow."""
    return Reply({"error": refusal.value, "details": charge.status.value}, status=409)
