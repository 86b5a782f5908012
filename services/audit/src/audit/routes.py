"""Operator routes of the audit log."""

from datetime import timedelta
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Query
from pydantic import AwareDatetime

from audit.store import PostgresAuditLog, StoredEntry, queries
from service_runtime.admin import admin_router, check_router, counts_of, together
from service_runtime.clock import Clock
from service_runtime.operators import Operators
from service_runtime.paging import START, Keyset, Page
from service_runtime.postgres import PostgresDatabase

TIMELINES = Keyset(["payment_id"], [START], most=500)
MOST_HOURS = 168
Hours = Annotated[int | None, Query(ge=1, le=MOST_HOURS)]


def routes(database: PostgresDatabase, clock: Clock, operators: Operators) -> APIRouter:
    """Return the routes under `/admin`, for operators with the scope `ops.read`."""
    return together(_timeline(database, operators), _checks(database, clock, operators))


def _timeline(database: PostgresDatabase, operators: Operators) -> APIRouter:
    router = admin_router(operators)

    @router.get("/timeline")
    async def timeline(payment_id: UUID) -> dict[str, Any]:
        """Return the entries of one payment, by time."""
        async with database.transaction() as tx:
            rows = await PostgresAuditLog(tx).timeline(payment_id)
        return {"rows": [_row(stored) for stored in rows]}

    return router


def _checks(database: PostgresDatabase, clock: Clock, operators: Operators) -> APIRouter:
    router = check_router(operators)

    @router.get("/timelines")
    async def timelines(page: Annotated[Page, Depends(TIMELINES)]) -> dict[str, Any]:
        """Return payments by id, with the names and versions of their entries."""
        async with database.transaction() as tx:
            found = await queries.timelines(tx, page.after[0], page.limit)
        return page.reply("timelines", found)

    @router.get("/check")
    async def check(since: AwareDatetime | None = None, hours: Hours = None) -> dict[str, Any]:
        """Check payments with entries since a time, of the last hours, or all."""
        now = clock.now()
        if since is None:
            since = queries.EVERYTHING if hours is None else now - timedelta(hours=hours)
        async with database.transaction() as tx:
            found = await queries.check(tx, since, now)
            return found._asdict() | await counts_of(tx, None)

    return router


def _row(stored: StoredEntry) -> dict[str, Any]:
    entry, origin = stored.entry, stored.entry.origin
    return {
        "id": stored.id,
        "event": entry.event,
        "payment_id": entry.payment_id,
        "tx_id": entry.tx_id,
        "user_id": entry.user_id,
        "reference": entry.reference,
        "metadata": entry.metadata,
        "created_at": origin.time,
        "recorded_at": stored.recorded_at,
        "event_id": origin.event_id,
        "topic": origin.topic,
        "partition": origin.partition,
        "offset": origin.offset,
    }
