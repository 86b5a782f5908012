"""What operators ask of risk."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends

from risk.store import PostgresAssessments
from service_runtime.clock import Clock
from service_runtime.paging import BY_PAYMENT, Page
from service_runtime.ports import Database
from service_runtime.web import Credentials


def routes(database: Database, credentials: Credentials, clock: Clock) -> APIRouter:
    """Return the routes under `/admin`."""
    router = APIRouter(prefix="/admin", dependencies=[Depends(credentials.require("ops.read"))])

    @router.get("/assessments")
    async def assessments(payment_id: UUID) -> dict[str, Any]:
        """Return a payment's assessment: score, factors, and what was found outside."""
        async with database.transaction() as tx:
            return {"assessments": await PostgresAssessments(tx).of_payment(payment_id)}

    @router.get("/assessments/export")
    async def export(page: Annotated[Page, Depends(BY_PAYMENT)]) -> dict[str, Any]:
        """Return assessments by payment id, for checks."""
        async with database.transaction() as tx:
            found = await PostgresAssessments(tx).export(page.after[0], page.limit)
        return page.reply("assessments", found)

    @router.get("/check")
    async def check() -> dict[str, Any]:
        """Return violated invariants, unfinished payments, parked rows and dead letters."""
        async with database.transaction() as tx:
            return await PostgresAssessments(tx).check(clock.now())

    return router
