"""What operators ask of otp."""

from typing import Any

from fastapi import APIRouter, Depends

from otp.store import PostgresChallenges
from service_runtime.clock import Clock
from service_runtime.ports import Database
from service_runtime.web import Credentials


def routes(database: Database, credentials: Credentials, clock: Clock) -> APIRouter:
    """Return the routes under `/admin`."""
    router = APIRouter(prefix="/admin", dependencies=[Depends(credentials.require("ops.read"))])

    @router.get("/check")
    async def check() -> dict[str, Any]:
        """Return violated invariants and the number of dead letters."""
        async with database.transaction() as tx:
            return await PostgresChallenges(tx).check(clock.now())

    return router
