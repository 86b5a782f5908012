"""What operators ask of sample."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query

from sample.store import Reports
from service_runtime.operators import Operators
from service_runtime.ports import Database

Limit = Annotated[int, Query(ge=1, le=1000)]


def routes(database: Database, operators: Operators) -> APIRouter:
    """Return the route; it needs the scope `ops.read`."""
    router = APIRouter(prefix="/admin", dependencies=[Depends(operators.require("ops.read"))])

    @router.get("/reports")
    async def reports(limit: Limit = 100) -> dict[str, Any]:
        """Return the latest reports, newest first."""
        async with database.transaction() as tx:
            return {"reports": await Reports(tx).latest(limit)}

    return router
