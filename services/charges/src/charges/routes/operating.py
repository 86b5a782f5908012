"""What operators do: look at charges and at routing, refund, evaluate a routing policy."""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, HTTPException, Query, Request
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field

from charges.domain.charge import Status
from charges.domain.evaluation import LEAST_SHARE, Estimate, Evaluation, TargetPolicy, evaluate
from charges.domain.ids import transaction_id as shown_id
from charges.routes.api import Api, known_id, unknown
from charges.routes.bodies import Amount, Text
from charges.routes.changes import refund_once
from charges.routes.payments import shown_refund
from charges.store import Charges, Reading, Refunds
from payment_schemas.events.record import AuditRecorded
from service_runtime.http_unit import Reply
from service_runtime.messages import Cause, Emit
from service_runtime.operators import Operators
from service_runtime.paging import Keyset, Page
from service_runtime.postgres import PostgresTransaction
from service_runtime.web import JsonResponse

LAST = (datetime(9999, 1, 1, tzinfo=UTC), UUID(int=2**128 - 1))
NEWEST = Keyset(["created_at", "id"], LAST, 100)
REFUSED = 400
Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Shares = Annotated[dict[str, Share], Field(max_length=20)]


class OperatorRefund(BaseModel):
    """A refund that an operator makes; without an amount, of all that is left."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)
    amount: Amount | None = None
    note: Text


class Candidate(BaseModel):
    """A routing policy: shares of providers by segment, and for all other segments."""

    model_config = ConfigDict(extra="forbid")
    otherwise: Shares = {}
    segments: Annotated[dict[str, Shares], Field(max_length=200)] = {}
    days: Annotated[int, Field(ge=1, le=365)] = 30
    """How far back choices are read."""


def add_operating(router: APIRouter, api: Api, operators: Operators) -> None:
    """Add the routes: `ops.read` looks, `cases.approve` refunds."""
    may_read = [Depends(operators.require("ops.read", is_read=True))]

    @router.get("/admin/charges", dependencies=may_read)
    async def listing(
        page: Annotated[Page, Depends(NEWEST)],
        status: Status | None = None,
        provider: Annotated[str | None, Query(max_length=64)] = None,
        user_id: Annotated[str | None, Query(max_length=128)] = None,
    ) -> Any:
        """Return charges, the newest first."""
        only = {"status": status, "provider": provider, "user_id": user_id}
        async with api.database.transaction() as tx:
            rows = await Reading(tx).charges(tuple(page.after), page.limit, **only)
        return page.reply(
            "charges", [{"transactionId": shown_id(row["id"]), **row} for row in rows]
        )

    @router.get("/admin/charges/{transaction_id}", dependencies=may_read)
    async def one(transaction_id: str) -> Response:
        """Return a charge with its refunds, its transfers and the choices of its providers."""
        charge_id = known_id(transaction_id)
        async with api.database.transaction() as tx:
            reading = Reading(tx)
            await reading.at_once()
            row = await reading.charge(charge_id)
            if row is None:
                raise HTTPException(404, f"Unknown payment: {transaction_id}")
            body = {
                "transactionId": transaction_id,
                **row,
                "refunds": [shown_refund(one) for one in await Refunds(tx).of_charge(charge_id)],
                "disputes": await reading.disputes_of(charge_id),
                "transfers": await reading.transfers(charge_id),
                "choices": await reading.choices_of(charge_id),
            }
        return JsonResponse(body)

    _add_refunds(router, api, operators)
    _add_routing(router, api, may_read)


def _add_refunds(router: APIRouter, api: Api, operators: Operators) -> None:
    Approver = Annotated[str, Depends(operators.require("cases.approve"))]  # noqa: N806 - a type

    @router.post("/admin/charges/{transaction_id}/refunds", status_code=202)
    async def refund(
        request: Request, transaction_id: str, actor: Approver, fields: OperatorRefund
    ) -> Response:
        """Refund a charge for its merchant; the note is in the audit log."""
        charge_id = known_id(transaction_id)

        async def act(tx: PostgresTransaction, cause: Cause) -> Reply:
            charge = (await Charges(tx).lock([charge_id])).get(charge_id)
            if charge is None:
                return unknown(charge_id)
            reply = await refund_once(api, tx, charge, fields.amount, cause)
            if reply.status >= REFUSED:
                return reply
            data = {"note": fields.note, "amount_minor": str(reply.body["data"]["amount"])}
            audit = AuditRecorded(
                actor=actor, action="CHARGE_REFUNDED", about=transaction_id, metadata=data
            )
            return Reply(reply.body, reply.status, [*reply.events, Emit(audit, cause)])

        response = await api.run(request, actor, act)
        api.wake_refunds()
        return response


def _add_routing(router: APIRouter, api: Api, may_read: list[Any]) -> None:
    @router.get("/admin/routing", dependencies=may_read)
    async def routing(hours: Annotated[int, Query(ge=1, le=720)] = 24) -> Any:
        """Return what routing knows of each provider by segment, and its choices of late."""
        async with api.database.transaction() as tx:
            rows = await Reading(tx).arms(api.clock.now(), hours)
        known = {name: provider.is_open for name, provider in api.providers.items()}
        return {"arms": rows, "breakers_open": known, "hours": hours}

    @router.post("/admin/routing/evaluate", dependencies=may_read)
    async def estimate(fields: Candidate) -> Any:
        """Return what a policy would have achieved, by IPS, SNIPS and a doubly robust estimate."""
        named = {
            name for shares in (fields.otherwise, *fields.segments.values()) for name in shares
        }
        if unknown_names := sorted(named - api.providers.keys()):
            body = {"error": "Unknown provider", "details": ", ".join(unknown_names)[:200]}
            raise HTTPException(400, body)
        since = api.clock.now() - timedelta(days=fields.days)
        async with api.database.transaction() as tx:
            choices = await Reading(tx).logged(since)
        policy = TargetPolicy(fields.otherwise, fields.segments)
        return _shown(await api.threads.run(evaluate, choices, policy))


def _shown(found: Evaluation) -> dict[str, Any]:
    named = {"ips": found.ips, "snips": found.snips, "doubly_robust": found.doubly_robust}
    return {
        "choices": found.choices,
        "effective": round(found.effective, 1),
        "share": round(found.share, 4),
        "least_share": LEAST_SHARE,
        "is_refused": found.ips is None,
        "logged": _interval(found.logged) if found.choices else None,
        **{name: _interval(one) if one else None for name, one in named.items()},
    }


def _interval(one: Estimate) -> dict[str, float]:
    low, high = one.value - one.half_width, one.value + one.half_width
    return {"value": round(one.value, 6), "low": round(low, 6), "high": round(high, 6)}
