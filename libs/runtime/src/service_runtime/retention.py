"""Retention: rows that are older than a table keeps them are deleted, a slice at a time.

`due` says what a run would delete now; it reads by the same condition as `purge` deletes by.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal, LiteralString

from fastapi import APIRouter, Depends
from fastapi.responses import Response
from psycopg import sql

from service_runtime import metrics
from service_runtime.logs import Log
from service_runtime.operators import CHECK, Operators
from service_runtime.postgres import REPORT, PostgresDatabase, PostgresTransaction
from service_runtime.web import JsonResponse

SLICE_ROWS = 5000
BETWEEN_SLICES_S = 0.1
"""Others write meanwhile: a purge of years of rows must not be felt."""
EVERY_S = 600.0
COUNTED = 1_000_000
"""A dry run counts the rows of a table up to this number."""

Category = Literal["operational", "history", "records", "identity"]
"""What rows are, by docs/privacy.md: traces of work, what a score or rule reads, records that a law
demands, and who a person is."""

Release = Callable[[PostgresTransaction, Sequence[Any]], Awaitable[Sequence[Any]]]
"""Deletes what belongs to rows elsewhere, by their ids (a column `id`); returns the ids whose rows
may go. In the transaction of the deletion, and repeated where that fails."""
RELEASED_ROWS = 50
"""At once: each is a file, or a request to a store of objects."""

_log = Log("retention")
_purged = metrics.counter("rows_purged", "Rows that were older than their table keeps them.")


@dataclass(frozen=True, slots=True)
class Retention:
    """How long a table keeps its rows. `column` is the time of a row, and is indexed."""

    table: str
    column: str
    keep: timedelta
    category: Category = "operational"
    where: LiteralString = "true"
    """Rows for which it is not true are kept, whatever their age."""
    before: Release | None = None

    @property
    def condition(self) -> sql.Composed:
        """The condition of rows that are too old; `keep` is its parameter."""
        too_old = sql.SQL("{} < now() - %(keep)s").format(sql.Identifier(self.column))
        return sql.SQL("({} and ({}))").format(too_old, sql.SQL(self.where))


INBOX = Retention("inbox", "handled_at", timedelta(days=97))
"""Longer than any record can come again: dead letters are kept for 90 days."""
HTTP_REPLIES = Retention("http_reply", "replied_at", timedelta(days=7))


async def due(database: PostgresDatabase, retention: Retention) -> int:
    """Return how many rows a run would delete now, up to COUNTED."""
    statement = sql.SQL(
        """select count(*) as count from (
               select from {} where {} limit %(limit)s) as old"""
    ).format(sql.Identifier(retention.table), retention.condition)
    async with database.transaction() as tx:
        await tx.use(REPORT)
        values = {"keep": retention.keep, "limit": COUNTED}
        cursor = await tx.connection.execute(statement, values)
        (row,) = await cursor.fetchall()
    return int(row["count"])


async def purge(database: PostgresDatabase, retention: Retention) -> int:
    """Delete what is too old; each slice is a transaction. Return how many rows there were."""
    count = deleted = 0
    slice_rows = RELEASED_ROWS if retention.before else SLICE_ROWS
    while deleted == slice_rows or not count:
        if retention.before is None:
            deleted = await _delete_slice(database, retention)
        else:
            deleted = await _delete_after(database, retention, retention.before)
        if not deleted:
            break
        count += deleted
        _purged.add(deleted, {"table": retention.table})
        await asyncio.sleep(BETWEEN_SLICES_S)
    if count:
        _log.info("rows_purged", table=retention.table, count=count)
    return count


async def _delete_slice(database: PostgresDatabase, retention: Retention) -> int:
    table = sql.Identifier(retention.table)
    statement = sql.SQL(
        """delete from {table} where ctid = any(array(
               select ctid from {table} where {condition} limit %(limit)s)) returning 1"""
    ).format(table=table, condition=retention.condition)
    async with database.transaction() as tx:
        values = {"keep": retention.keep, "limit": SLICE_ROWS}
        cursor = await tx.connection.execute(statement, values)
        return len(await cursor.fetchall())


async def _delete_after(database: PostgresDatabase, retention: Retention, before: Release) -> int:
    """Delete what belongs to a slice of rows, then the rows."""
    table = sql.Identifier(retention.table)
    old = sql.SQL("select id from {} where {} limit %(limit)s").format(table, retention.condition)
    gone = sql.SQL("delete from {} where id = any(%(ids)s) returning 1").format(table)
    async with database.transaction() as tx:
        values = {"keep": retention.keep, "limit": RELEASED_ROWS}
        found = await (await tx.connection.execute(old, values)).fetchall()
        ids = await before(tx, [row["id"] for row in found])
        return len(await (await tx.connection.execute(gone, {"ids": list(ids)})).fetchall())


def routes(
    retentions: Sequence[Retention], database: PostgresDatabase, operators: Operators
) -> APIRouter:
    """Return `GET /admin/retention`: what each table keeps, and what a run would delete now."""
    router = APIRouter(prefix="/admin")
    may_read = operators.require("ops.read", or_machine=CHECK)

    @router.get("/retention", dependencies=[Depends(may_read)])
    async def dry_run() -> Response:
        """Return a row a table."""
        rows = [
            {
                "table": one.table,
                "category": one.category,
                "keep_days": one.keep / timedelta(days=1),
                "due": await due(database, one),
            }
            for one in retentions
        ]
        return JsonResponse({"tables": rows})

    return router
