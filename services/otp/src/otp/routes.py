"""What operators ask of otp."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Query

from otp.store import PostgresChallenges
from service_runtime.clock import Clock
from service_runtime.ports import Database
from service_runtime.web import Credentials

FIRST = UUID(int=0)
MOST_EXPORTED = 1000
Limit = Annotated[int, Query(ge=1, le=MOST_EXPORTED)]


def routes(database: Database, credentials: Credentials, clock: Clock) -> APIRouter:
    """Return the routes under `/admin`."""
    router = APIRouter(prefix="/admin", dependencies=[Depends(credentials.require("ops.read"))])

    @router.get("/challenges")
    async def challenges(payment_id: UUID) -> dict[str, Any]:
        """Return a payment's challenges: how often each was tried, and what became of it."""
        async with database.transaction() as tx:
            return {"challenges": await PostgresChallenges(tx).of_payment(payment_id)}

    @router.get("/challenges/export")
    async def export(after: UUID = FIRST, limit: Limit = MOST_EXPORTED) -> dict[str, Any]:
        """Return payments by id, with what was asked for and accepted; for checks."""
        async with database.transaction() as tx:
            return {"challenges": await PostgresChallenges(tx).export(after, limit)}

    @router.get("/check")
    async def check() -> dict[str, Any]:
        """Return violated invariants and the number of dead letters."""
        async with database.transaction() as tx:
            return await PostgresChallenges(tx).check(clock.now())

    return router
