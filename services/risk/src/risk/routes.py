"""What operators ask of risk."""

from typing import Any

from fastapi import APIRouter, Depends

from risk.store import PostgresAssessments
from service_runtime.clock import Clock
from service_runtime.ports import Database
from service_runtime.web import Credentials


def routes(database: Database, credentials: Credentials, clock: Clock) -> APIRouter:
    """Return the routes under `/admin`."""
    router = APIRouter(prefix="/admin", dependencies=[Depends(credentials.require("ops.read"))])

    @router.get("/check")
    async def check() -> dict[str, Any]:
        """Return violated invariants, unfinished payments, parked rows and dead letters."""
        async with database.transaction() as tx:
            return await PostgresAssessments(tx).check(clock.now())

    return router
