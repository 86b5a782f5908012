"""What operators see of all owners' endpoints: whose they are, and how they do; no secret."""

from typing import Annotated, Any
from urllib.parse import urlsplit

from fastapi import APIRouter, Depends
from fastapi.responses import Response

from service_runtime.admin import admin_router
from service_runtime.operators import Operators
from service_runtime.paging import Page
from service_runtime.ports import Database
from service_runtime.web import JsonResponse
from webhooks.routes.bodies import BY_ID
from webhooks.store import queries


def admin_routes(database: Database, operators: Operators) -> APIRouter:
    """Return the routes; they need the scope `ops.read`."""
    router = admin_router(operators)

    @router.get("/endpoints")
    async def endpoints(page: Annotated[Page, Depends(BY_ID)]) -> Response:
        """Return a page of endpoints. Of an address only the host: the rest may hold a secret."""
        async with database.transaction() as tx:
            found = await queries.endpoints(tx, page.after[0], page.limit)
        return JsonResponse(page.reply("endpoints", [_shown(row) for row in found]))

    return router


def _shown(row: dict[str, Any]) -> dict[str, Any]:
    host = urlsplit(row["url"]).hostname
    return {name: value for name, value in row.items() if name != "url"} | {"host": host}
