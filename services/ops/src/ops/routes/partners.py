"""The audit row of a partner bank's new password, which the command sets at Kafka afterwards."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Request
from fastapi.responses import Response

from payment_schemas.events.record import AuditRecorded
from service_runtime.http_unit import HttpUnitOfWork, Reply
from service_runtime.messages import Cause, Emit
from service_runtime.operators import Operators
from service_runtime.postgres import PostgresTransaction

Partner = Annotated[str, Path(pattern=r"^[a-z0-9-]{3,32}$")]


def routes(requests: HttpUnitOfWork, operators: Operators) -> APIRouter:
    """Return the route, for operators with the scope `partners.write`."""
    router = APIRouter(prefix="/admin")
    may_write = operators.require("partners.write")

    @router.post("/partners/{partner}/rotations")
    async def rotation(
        partner: Partner, request: Request, actor: Annotated[str, Depends(may_write)]
    ) -> Response:
        async def act(_tx: PostgresTransaction, cause: Cause) -> Reply:
            event = AuditRecorded(actor=actor, action="PARTNER_PASSWORD_REPLACED", about=partner)
            return Reply({"partner": partner}, events=[Emit(event, cause)])

        return await requests.run(request, actor, act)

    return router
