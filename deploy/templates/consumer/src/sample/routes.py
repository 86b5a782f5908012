"""What operators ask of sample."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

from fastapi import APIRouter, Depends

from sample.store import Entries
from service_runtime.ports import Database
from service_runtime.web import Credentials


def routes(
    database: Database, entries: Callable[[Any], Entries], credentials: Credentials
) -> APIRouter:
    """Return the routes under `/admin`; each needs the scope `ops.read`."""
    router = APIRouter(prefix="/admin", dependencies=[Depends(credentials.require("ops.read"))])

    @router.get("/entries")
    async def of_payment(payment_id: UUID) -> dict[str, Any]:
        """Return a payment's entry, if there is one."""
        async with database.transaction() as tx:
            return {"entries": await entries(tx).of_payment(payment_id)}

    @router.get("/check")
    async def check() -> dict[str, Any]:
        """Return what `countersign check` asks of each owner of state."""
        async with database.transaction() as tx:
            refused = await entries(tx).dead_letters()
        return {"violations": [], "unfinished": [], "parked": 0, "dead_letters": refused}

    return router
