"""What operators may ask the log for."""

from collections.abc import Callable
from dataclasses import asdict
from datetime import timedelta
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Query
from pydantic import AwareDatetime

from audit.store import EVERYTHING, AuditLog, Recorded
from service_runtime.clock import Clock
from service_runtime.paging import Keyset, Page
from service_runtime.ports import Database
from service_runtime.web import Credentials

TIMELINES = Keyset(["payment_id"], [UUID(int=0)], most=500)
MOST_HOURS = 168
Hours = Annotated[int | None, Query(ge=1, le=MOST_HOURS)]


def routes(
    database: Database, log: Callable[[Any], AuditLog], clock: Clock, credentials: Credentials
) -> APIRouter:
    """Return the admin routes; each needs the scope `ops.read`."""
    reader = Depends(credentials.require("ops.read"))
    router = APIRouter(prefix="/admin", dependencies=[reader])

    @router.get("/timeline")
    async def timeline(payment_id: UUID) -> dict[str, Any]:
        """Show every entry of one payment, by time."""
        async with database.transaction() as tx:
            rows = await log(tx).timeline(payment_id)
        return {"rows": [_row(line) for line in rows]}

    @router.get("/timelines")
    async def timelines(page: Annotated[Page, Depends(TIMELINES)]) -> dict[str, Any]:
        """Show payments by id: the names of their entries and the versions that they carry."""
        async with database.transaction() as tx:
            found = await log(tx).timelines(page.after[0], page.limit)
        return page.reply("timelines", [asdict(timeline) for timeline in found])

    @router.get("/check")
    async def check(since: AwareDatetime | None = None, hours: Hours = None) -> dict[str, Any]:
        """Hold payments with entries since then, or of the last hours, or all, to the rules."""
        now = clock.now()
        if since is None:
            since = EVERYTHING if hours is None else now - timedelta(hours=hours)
        async with database.transaction() as tx:
            found = await log(tx).check(since, now)
        return {**asdict(found), "parked": 0}

    return router


def _row(line: Recorded) -> dict[str, Any]:
    entry, origin = line.entry, line.entry.origin
    return {
        "id": line.id,
        "event": entry.event,
        "payment_id": entry.payment_id,
        "tx_id": entry.tx_id,
        "user_id": entry.user_id,
        "reference": entry.reference,
        "metadata": entry.metadata,
        "created_at": origin.time,
        "recorded_at": line.recorded_at,
        "event_id": origin.event_id,
        "topic": origin.topic,
        "partition": origin.partition,
        "offset": origin.offset,
    }
