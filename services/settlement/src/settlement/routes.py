"""What operators may ask settlement."""

from collections.abc import Callable
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import Response

from service_runtime.ports import Database
from service_runtime.web import JsonResponse
from settlement.store import Instructions

MAX_EXPORTED = 1000
FIRST = UUID(int=0)


def routes(
    database: Database,
    store: Callable[[Any], Instructions],
    may_read: Callable[[Request], str],
) -> APIRouter:
    """Return the routes under `/admin`, for callers with the scope `ops.read`."""
    router = APIRouter(prefix="/admin", dependencies=[Depends(may_read)])

    @router.get("/instructions")
    async def instructions(payment_id: UUID | None = None, uetr: UUID | None = None) -> Response:
        if (payment_id is None) is (uetr is None):
            details = "either payment_id or uetr, and not both"
            return JsonResponse({"error": "Invalid field: payment_id", "details": details}, 400)
        async with database.transaction() as tx:
            return JsonResponse({"instructions": await store(tx).find(payment_id, uetr)})

    @router.get("/instructions/export")
    async def export(
        after: UUID = FIRST, limit: Annotated[int, Query(ge=1, le=MAX_EXPORTED)] = MAX_EXPORTED
    ) -> Response:
        async with database.transaction() as tx:
            return JsonResponse({"instructions": await store(tx).export(after, limit)})

    @router.get("/check")
    async def check() -> Response:
        async with database.transaction() as tx:
            return JsonResponse(await store(tx).health())

    return router
