"""Operator routes of risk."""

from typing import Any
from uuid import UUID

from fastapi import APIRouter

from risk.store import queries
from risk.store.port import TABLE
from service_runtime.admin import (
    Findings,
    add_check,
    add_export,
    admin_router,
    check_router,
    together,
)
from service_runtime.clock import Clock
from service_runtime.operators import Operators
from service_runtime.postgres import PostgresDatabase, PostgresTransaction


def routes(database: PostgresDatabase, operators: Operators, clock: Clock) -> APIRouter:
    """Return the routes under `/admin`."""
    router, checks = admin_router(operators), check_router(operators)

    @router.get("/assessments")
    async def assessments(payment_id: UUID) -> dict[str, Any]:
        async with database.transaction() as tx:
            return {"assessments": await queries.of_payment(tx, payment_id)}

    async def check(tx: PostgresTransaction, _since: object) -> Findings:
        return await queries.check(tx, clock.now())

    add_export(checks, database, "assessments", queries.export)
    add_check(checks, database, check, TABLE)
    return together(router, checks)
