"""What operators do with a service's cursors: list them, and move one to another position."""

from collections.abc import Collection
from typing import Annotated, Any

from fastapi import APIRouter, Depends, HTTPException, Request
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field

from payment_schemas.events.record import AuditRecorded
from payment_schemas.ids import Printable
from service_runtime.cursor import listed, rewind
from service_runtime.http_unit import HttpUnitOfWork, Reply
from service_runtime.messages import Cause, Emit
from service_runtime.operators import Operators
from service_runtime.ports import Database
from service_runtime.postgres import PostgresTransaction
from service_runtime.web import JsonResponse


class NewPosition(BaseModel):
    """Where a cursor is to go on."""

    model_config = ConfigDict(extra="forbid")

    position: Annotated[Printable, Field(max_length=200)] | None
    """A position of the log; of a job, the time (ISO 8601) behind which it runs again."""


def routes(
    names: Collection[str], database: Database, requests: HttpUnitOfWork, operators: Operators
) -> APIRouter:
    """Return the routes under `/admin/cursors`: to read with `ops.read`, to move `ops.write`."""
    router = APIRouter(prefix="/admin/cursors")
    may_write = operators.require("ops.write")

    @router.get("", dependencies=[Depends(operators.require("ops.read"))])
    async def cursors() -> Response:
        async with database.transaction() as tx:
            return JsonResponse({"cursors": await listed(tx)})

    @router.post("/{name}")
    async def move(
        name: str, wanted: NewPosition, request: Request, actor: Annotated[str, Depends(may_write)]
    ) -> Response:
        if name not in names:
            raise HTTPException(404, "Unknown cursor")

        async def act(tx: PostgresTransaction, cause: Cause) -> Reply:
            if not await rewind(tx, name, wanted.position):
                return Reply({"error": "Conflict", "details": "the cursor was never held"}, 409)
            metadata = {"position": str(wanted.position)}
            event = AuditRecorded(actor=actor, action="CURSOR_MOVED", about=name, metadata=metadata)
            body: dict[str, Any] = {"name": name, "position": wanted.position}
            return Reply(body, events=[Emit(event, cause)])

        return await requests.run(request, actor, act)

    return router
