"""What operators ask of sample."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends

from sample.store import Lines
from service_runtime.operators import Operators
from service_runtime.paging import Keyset, Page
from service_runtime.ports import Database

ByLine = Annotated[Page, Depends(Keyset(["file", "line"], ["", 0]))]


def routes(database: Database, operators: Operators) -> APIRouter:
    """Return the routes; they need the scope `ops.read`."""
    router = APIRouter(prefix="/admin", dependencies=[Depends(operators.require("ops.read"))])

    @router.get("/rows")
    async def rows(page: ByLine) -> dict[str, Any]:
        """Return a page of rows by file and line."""
        async with database.transaction() as tx:
            return page.reply("rows", await Lines(tx).rows(page.after, page.limit))

    @router.get("/refusals")
    async def refusals(page: ByLine) -> dict[str, Any]:
        """Return a page of the lines that are no rows, by file and line."""
        async with database.transaction() as tx:
            return page.reply("refusals", await Lines(tx).refusals(page.after, page.limit))

    return router
