"""What operators ask of sample."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

from fastapi import APIRouter

from sample.store import Entries
from service_runtime.admin import admin_router, check_router, together
from service_runtime.operators import Operators
from service_runtime.ports import Database


def routes(
    database: Database, entries: Callable[[Any], Entries], operators: Operators
) -> APIRouter:
    """Return the routes under `/admin`; each needs the scope `ops.read`."""
    router, checks = admin_router(operators), check_router(operators)

    @router.get("/entries")
    async def of_payment(payment_id: UUID) -> dict[str, Any]:
        """Return a payment's entry, if there is one."""
        async with database.transaction() as tx:
            return {"entries": await entries(tx).of_payment(payment_id)}

    @checks.get("/check")
    async def check() -> dict[str, Any]:
        """Return what `countersign check` asks of each owner of state."""
        async with database.transaction() as tx:
            refused = await entries(tx).dead_letters()
        return {"violations": [], "unfinished": [], "parked": 0, "dead_letters": refused}

    return together(router, checks)
