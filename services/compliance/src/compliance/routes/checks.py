"""Checks: of one transaction for an operator, of many payments for risk; and monitoring."""

from collections.abc import Mapping
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, HTTPException, Request
from fastapi.responses import Response

from compliance.domain.checks import Check, Question
from compliance.routes.api import Api
from compliance.routes.bodies import BatchBody, CheckBody, MonitorBody, ShownCheck
from compliance.store import Checks
from payment_schemas import answers
from payment_schemas.answers import RefusedError
from payment_schemas.currencies import UnknownRateError
from payment_schemas.events.record import AuditRecorded
from service_runtime.credentials import Credentials
from service_runtime.http_unit import Reply
from service_runtime.messages import Cause, Emit
from service_runtime.postgres import PostgresTransaction
from service_runtime.web import JsonResponse


def add_checks(router: APIRouter, api: Api) -> None:
    """Add the checks of operators."""
    Writer = Annotated[str, Depends(api.operators.require("compliance.write"))]  # noqa: N806 - a type
    reader = Depends(api.operators.require("ops.read", is_read=True))

    @router.post("/check", status_code=201, response_model=ShownCheck)
    async def check(request: Request, actor: Writer, body: CheckBody) -> Response:
        """Check a transaction by the rules in force, and keep the result."""
        now = api.clock.now()
        try:
            payment = body.payment(now, api.usd_rates)
        except ValueError as error:
            field, _, why = str(error).partition(": ")
            raise RefusedError(answers.invalid_field(field, why)) from None

        async def act(tx: PostgresTransaction, cause: Cause) -> Reply:
            asked = Question(id=cause.id, payment=payment, by=actor, metadata=body.metadata)
            (done,) = await api.check(tx, [asked])
            found = await Checks(tx).found(done.id)
            return Reply(_shown(found or {}), status=201)

        return await api.requests.run(request, actor, act)

    @router.get("/check/{check_id}", response_model=ShownCheck, dependencies=[reader])
    async def result(check_id: UUID) -> Response:
        """Return the result of a check."""
        async with api.database.transaction() as tx:
            found = await Checks(tx).found(check_id)
        if found is None:
            raise HTTPException(404, f"Unknown check: {check_id}")
        return JsonResponse(_shown(found))


def add_monitoring(router: APIRouter, api: Api) -> None:
    """Add the start of monitoring. The user is not told: no event names it to customers."""
    Writer = Annotated[str, Depends(api.operators.require("compliance.write"))]  # noqa: N806 - a type

    @router.post("/monitor", status_code=201)
    async def monitor(request: Request, actor: Writer, body: MonitorBody) -> Response:
        """Put a user under monitoring, or change its end; an end in the past ends it."""

        async def act(tx: PostgresTransaction, cause: Cause) -> Reply:
            await Checks(tx).monitor(body.user_id, body.reason, actor, body.until)
            event = AuditRecorded(actor=actor, action="MONITORING_SET", about=body.user_id)
            reply = {"userId": body.user_id, "until": body.until, "startedBy": actor}
            return Reply(reply, status=201, events=[Emit(event, cause)])

        return await api.requests.run(request, actor, act)


def add_batches(router: APIRouter, api: Api, machines: Credentials) -> None:
    """Add the checks of payments, which risk makes by its secret."""
    Machine = Annotated[str, Depends(machines.require("compliance.check"))]  # noqa: N806 - a type

    @router.post("/checks:batch")
    async def batch(request: Request, machine: Machine, body: BatchBody) -> Response:
        """Check payments of one call: the results that could be made, by payment."""

        async def act(tx: PostgresTransaction, _cause: Cause) -> Reply:
            checks = await api.check(tx, _questions(api, body, machine))
            return Reply({"results": [_result(one) for one in checks]})

        return await api.requests.run(request, machine, act, is_stored=False)


def _questions(api: Api, body: BatchBody, machine: str) -> list[Question]:
    """Return a question for each payment; answer 400 for a currency without a rate."""
    try:
        return [
            Question(
                id=api.clock.new_id(),
                payment=one.payment(api.usd_rates),
                by=machine,
                payment_id=one.payment_id,
            )
            for one in body.payments
        ]
    except UnknownRateError as error:
        raise RefusedError(answers.invalid_field("currency", str(error))) from None


def _result(check: Check) -> dict[str, Any]:
    return {"payment_id": check.payment_id, "demands": check.demands, "findings": check.results}


def _shown(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "checkId": row["id"],
        "userId": row["user_id"],
        "paymentId": row["payment_id"],
        "type": row["type"],
        "status": row["status"],
        "appliedRules": row["rules"],
        "results": row["results"],
        "metadata": row["metadata"],
        "createdAt": row["created_at"],
        "completedAt": row["created_at"],
    }
