"""Payments: as gateway-proxy.md prints them, `/pay` with options, `/route` without a payment."""

import asyncio
import contextlib
from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import Response

from charges.domain.answers import shown
from charges.domain.charge import Charge, Goal
from charges.domain.ids import refund_id
from charges.routes.api import PATH, Api, known_id
from charges.routes.bodies import REFUSALS, Answer, Envelope, Pay, Route, Usage
from charges.routes.cards import deleted_body
from charges.store import Cards, Charges, Refunds
from charges.store.changes import emit
from payment_schemas.money import Money
from service_runtime.edge import Caller
from service_runtime.http_unit import Reply
from service_runtime.messages import Cause, Due
from service_runtime.postgres import PostgresTransaction
from service_runtime.web import JsonResponse

_OUTCOMES: dict[int | str, dict[str, Any]] = REFUSALS | {
    202: {"model": Answer, "description": "The outcome is not known yet; see Location."},
    402: {"model": Answer, "description": "Declined, or failed: nothing was taken."},
}


def add_payments(router: APIRouter, api: Api) -> None:
    """Add the routes that charge, and those that read."""
    Writer = Annotated[Caller, api.writer()]  # noqa: N806 - a type
    Reader = Annotated[Caller, api.reader()]  # noqa: N806 - a type

    @router.post(f"{PATH}/usage", response_model=Answer, responses=_OUTCOMES)
    async def usage(request: Request, caller: Writer, fields: Usage) -> Response:
        """Charge a customer. 202 where the outcome is not known in time, 402 where it is no."""
        return await charge_once(api, request, caller, Pay(**fields.model_dump()))

    @router.post("/pay", response_model=Answer, responses=_OUTCOMES)
    async def pay(request: Request, caller: Writer, fields: Pay) -> Response:
        """Charge a customer, with options."""
        return await charge_once(api, request, caller, fields)

    @router.post("/route", responses=REFUSALS, dependencies=[api.reader()])
    async def route(fields: Route) -> Response:
        """Return which provider a charge would be sent to now, and why; nothing is sent."""
        choice = api.router.choose(Money(fields.amount, fields.currency), api.clock.now().date())
        body = {
            "provider": choice.provider,
            "propensity": round(choice.propensity, 6),
            "segment": choice.segment,
            "reasons": dict(choice.reasons),
        }
        return JsonResponse(body)

    @router.get(PATH + "/{transaction_id}", response_model=Envelope, responses=REFUSALS)
    async def one(caller: Reader, transaction_id: str) -> Response:
        """Return a payment, and its refunds."""
        charge_id = known_id(transaction_id)
        async with api.database.transaction() as tx:
            found = await Charges(tx).found(charge_id, caller.user_id)
            refunds = await Refunds(tx).of_charge(charge_id) if found else []
        if found is None:
            raise HTTPException(404, f"Unknown payment: {transaction_id}")
        charge, row = found
        listed = [shown_refund(one) for one in refunds]
        data = {**shown(charge, row["updated_at"]), "refunds": listed}
        return JsonResponse({"success": True, "data": data})


def shown_refund(row: dict[str, Any]) -> dict[str, Any]:
    """Return what is seen of a refund."""
    return {
        "refundId": refund_id(row["id"]),
        "amount": row["amount_minor"],
        "currency": row["currency"],
        "status": row["status"],
        "code": row["code"],
        "createdAt": row["created_at"],
    }


async def charge_once(
    api: Api, request: Request, caller: Caller, fields: Pay, key: str | None = None
) -> Response:
    """Charge a customer, and return the outcome; `key` is the request's own idempotency key."""
    changed = asyncio.Event()
    with contextlib.ExitStack() as listening, api.place() as place:

        async def act(tx: PostgresTransaction, cause: Cause) -> Reply:
            if refusal := await _refused_source(tx, caller, fields.source):
                return refusal
            charge = _new_charge(api, caller, fields, cause)
            listening.enter_context(api.waiting.on(charge.id, changed))
            await Charges(tx).add(charge, fields.metadata, cause.trace, place)
            if place:
                # In the same commit as the charge: the call needs no claim of its own.
                due = Due(charge, Cause(charge.id, cause.trace), 1, 1)
                place.loaded = (await api.plan([due], Charges(tx)))[charge.id]
            return Reply({"charge_id": charge.id}, events=[emit(charge, cause)])

        response = await api.requests.run(request, caller.user_id, act, key=key)
        is_new = place is not None and place.is_taken
        if not is_new:
            api.wake()
        return await api.answered(response, caller.user_id, changed, is_new=is_new)


async def _refused_source(tx: PostgresTransaction, caller: Caller, token: str) -> Reply | None:
    """Refuse another merchant's card, and one that no provider has; other tokens are providers'."""
    card = await Cards(tx).shared(token)
    if card is None:
        return None
    if card.user_id != caller.user_id:
        details = "is no card of this merchant"
        return Reply({"error": "Invalid field: source", "details": details}, 400)
    if card.deleted_at is not None:
        return Reply(deleted_body(card), 410)
    if (await Cards(tx).sources([token]))[token]:
        return None
    details = "No provider has the card yet, or each has refused it"
    return Reply({"error": "Card is not ready", "details": details}, 409)


def _new_charge(api: Api, caller: Caller, fields: Pay, cause: Cause) -> Charge:
    """Return a charge without a risk score: captured and listed for review, or held for it."""
    now = api.clock.now()
    is_held = fields.amount > api.unscored_most_minor
    return Charge(
        id=cause.id,
        user_id=caller.user_id,
        money=Money(fields.amount, fields.currency),
        source=fields.source,
        email=api.emails.seal(fields.email, cause.id).reveal(),
        created_at=now,
        due_at=now,
        goal=Goal.CAPTURE if fields.capture and not is_held else Goal.HOLD,
        review="HELD" if is_held else "LISTED",
        may_retry=fields.retry,
    )
