"""Operator routes of the audit log."""

from base64 import b64encode
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Annotated, Any
from uuid import UUID

import orjson
from fastapi import APIRouter, Depends, Query
from fastapi.responses import StreamingResponse
from pydantic import AwareDatetime

from audit.store import PostgresAuditLog, StoredEntry, queries
from audit.store.trees import Trees
from payment_schemas.checkpoints import Row
from service_runtime.admin import admin_router, check_router, counts_of, together
from service_runtime.clock import Clock
from service_runtime.operators import Operators
from service_runtime.paging import START, Keyset, Page
from service_runtime.postgres import PostgresDatabase

TIMELINES = Keyset(["payment_id"], [START], most=500)
MOST_HOURS = 168
LEAVES_A_READ = 1000
"""Rows that a stream holds at once."""
FIRST_ID, LAST_ID = -(2**63), 2**63 - 1
"""Whoever owns the table can give a row any id of the column's type."""
Hours = Annotated[int | None, Query(ge=1, le=MOST_HOURS)]


def routes(database: PostgresDatabase, clock: Clock, operators: Operators) -> APIRouter:
    """Return the routes under `/admin`, for operators with the scope `ops.read`."""
    return together(
        _timeline(database, operators),
        _checks(database, clock, operators),
        _leaves(database, operators),
    )


def _timeline(database: PostgresDatabase, operators: Operators) -> APIRouter:
    router = admin_router(operators)

    @router.get("/timeline")
    async def timeline(payment_id: UUID) -> dict[str, Any]:
        """Return the entries of one payment, by time."""
        async with database.transaction() as tx:
            rows = await PostgresAuditLog(tx).timeline(payment_id)
        return {"rows": [_row(stored) for stored in rows]}

    @router.get("/events")
    async def events(payment_id: UUID) -> dict[str, Any]:
        """Return the events of one payment as their records were, by time."""
        async with database.transaction() as tx:
            return {"events": await queries.events(tx, payment_id)}

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


def _leaves(database: PostgresDatabase, operators: Operators) -> APIRouter:
    router = admin_router(operators)

    @router.get("/trees")
    async def trees() -> dict[str, Any]:
        """Return the trees, the last checkpoint, and how far old rows are in trees."""
        async with database.transaction() as tx:
            found = Trees(tx)
            heads, sealed = await found.heads(), await found.sealed()
        return sealed._asdict() | {
            "trees": [
                {**tree._asdict(), "size": head.size, "root": head.root.hex()}
                for tree, head in heads.items()
            ]
        }

    @router.get("/leaves")
    async def leaves(
        first: Annotated[int, Query(ge=FIRST_ID)] = FIRST_ID,
        last: Annotated[int, Query(le=LAST_ID)] = LAST_ID,
    ) -> StreamingResponse:
        """Stream rows as they are sealed: a line of JSON each, then an empty one."""
        return StreamingResponse(_lines(database, first, last), media_type="application/x-ndjson")

    @router.get("/leaves/{event_id}")
    async def leaves_of(event_id: UUID) -> dict[str, Any]:
        """Return an event's rows as they are sealed."""
        async with database.transaction() as tx:
            rows = await Trees(tx).rows_of(event_id)
        return {"rows": [_plain(row_id, row) for row_id, row, _ in rows]} | {
            "recorded_at": [recorded_at for *_, recorded_at in rows]
        }

    return router


async def _lines(database: PostgresDatabase, first: int, last: int) -> AsyncIterator[bytes]:
    while True:
        async with database.transaction() as tx:
            rows = await Trees(tx).rows(first, last, LEAVES_A_READ)
        if not rows:
            break
        yield b"".join(orjson.dumps(_plain(*one)) + b"\n" for one in rows)
        if rows[-1][0] == last:
            break
        first = rows[-1][0] + 1
    # What is cut off on its way ends without it.
    yield b"\n"


def _plain(row_id: int, row: Row) -> list[Any]:
    *fields, content, is_raw = row
    return [row_id, *fields, b64encode(content).decode(), is_raw]


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
