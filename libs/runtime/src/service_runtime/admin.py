"""Operator routes that services share: export pages and the check."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Annotated, Any, NamedTuple
from uuid import UUID

from fastapi import APIRouter, Depends
from fastapi.responses import Response
from psycopg import sql
from pydantic import AwareDatetime

from service_runtime.operators import CHECK, Operators
from service_runtime.paging import BY_PAYMENT, Page
from service_runtime.ports import Database
from service_runtime.web import JsonResponse

MOST_FINDINGS = 100
"""Violations, and unfinished payments, that a check names."""
COUNTED = 10_000
"""Parked rows and dead letters are counted up to this number."""

Rows = Sequence[dict[str, Any]]
ReadPage = Callable[[Any, UUID, int], Awaitable[Rows]]
"""Reads rows behind an id, in the order of their ids, within a transaction."""


class Findings(NamedTuple):
    """Violated invariants, and payments that are not finished; both bounded."""

    violations: Rows
    unfinished: Rows


Check = Callable[[Any, Any], Awaitable[Findings]]
"""Checks, within a transaction, what has changed since a time; None: everything."""


def admin_router(operators: Operators) -> APIRouter:
    """Return a router for reads under `/admin`, for operators with the scope `ops.read`.

    Each read leaves an audit record.
    """
    may_read = operators.require("ops.read", is_read=True)
    return APIRouter(prefix="/admin", dependencies=[Depends(may_read)])


def check_router(operators: Operators) -> APIRouter:
    """Return a router as above, for the checking machine, too, whose reads leave no record."""
    may_read = operators.require("ops.read", or_machine=CHECK, is_read=True)
    return APIRouter(prefix="/admin", dependencies=[Depends(may_read)])


def together(*routers: APIRouter) -> APIRouter:
    """Return one router with the routes of several."""
    both = APIRouter()
    for router in routers:
        both.include_router(router)
    return both


def add_export(router: APIRouter, database: Database, name: str, read: ReadPage) -> None:
    """Add `GET /admin/<name>/export?after=&limit=` to a check router; rows have a `payment_id`."""

    @router.get(f"/{name}/export")
    async def export(page: Annotated[Page, Depends(BY_PAYMENT)]) -> Response:
        async with database.transaction() as tx:
            rows = await read(tx, page.after[0], page.limit)
        return JsonResponse(page.reply(name, rows))


def add_check(
    router: APIRouter, database: Database, check: Check, work_table: str | None = None
) -> None:
    """Add `GET /admin/check?since=` to a check router, with counts, and the age of the outbox."""

    @router.get("/check")
    async def checked(since: AwareDatetime | None = None) -> Response:
        async with database.transaction() as tx:
            found = await check(tx, since)
            counts: dict[str, Any] = await counts_of(tx, work_table)
            counts["outbox_oldest_s"] = await _outbox_oldest_s(tx)
        return JsonResponse(found._asdict() | counts)


async def counts_of(tx: Any, work_table: str | None) -> dict[str, int]:
    """Count the parked rows of a work table and the dead letters."""
    cursor = await tx.connection.execute(_counts(work_table), {"most": COUNTED})
    counts: dict[str, int] = await cursor.fetchone()
    return counts


async def _outbox_oldest_s(tx: Any) -> float:
    """Return the age in seconds of the oldest row that is not published yet; 0 without one."""
    cursor = await tx.connection.execute(
        """select coalesce(extract(epoch from clock_timestamp() - (
               select created_at from outbox order by id limit 1)), 0)::float8 as age_s"""
    )
    return float((await cursor.fetchone())["age_s"])


def _counts(work_table: str | None) -> sql.Composed:
    parked: sql.Composable = sql.SQL("0")
    if work_table is not None:
        parked = sql.SQL(
            """(select count(*) from (select from {} where parked_at is not null
                                      limit %(most)s) as parked)"""
        ).format(sql.Identifier(work_table))
    return sql.SQL(
        """select {} as parked,
                  (select count(*) from (select from dead_letter limit %(most)s) as letters)
                      as dead_letters"""
    ).format(parked)
