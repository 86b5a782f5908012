"""Retention: rows that are older than a table keeps them are deleted, a slice at a time."""

import asyncio
from dataclasses import dataclass
from datetime import timedelta

from psycopg import sql

from service_runtime import metrics
from service_runtime.postgres import PostgresDatabase

SLICE_ROWS = 5000
BETWEEN_SLICES_S = 0.1
"""Others write meanwhile: a purge of years of rows must not be felt."""
EVERY_S = 600.0

_purged = metrics.counter("rows_purged", "Rows that were older than their table keeps them.")


@dataclass(frozen=True, slots=True)
class Retention:
    """How long a table keeps its rows. `column` is the time of a row, and is indexed."""

    table: str
    column: str
    keep: timedelta


INBOX = Retention("inbox", "handled_at", timedelta(days=97))
"""Longer than any record can come again: dead letters are kept for 90 days."""
HTTP_REPLIES = Retention("http_reply", "replied_at", timedelta(days=7))


async def purge(database: PostgresDatabase, retention: Retention) -> int:
    """Delete what is too old; each slice is a transaction. Return how many rows there were."""
    statement = sql.SQL(
        """delete from {table} where ctid = any(array(
               select ctid from {table} where {column} < now() - %s limit %s)) returning 1"""
    ).format(table=sql.Identifier(retention.table), column=sql.Identifier(retention.column))
    count = deleted = 0
    while deleted == SLICE_ROWS or not count:
        async with database.transaction() as tx:
            cursor = await tx.connection.execute(statement, (retention.keep, SLICE_ROWS))
            deleted = len(await cursor.fetchall())
        if not deleted:
            break
        count += deleted
        _purged.add(deleted, {"table": retention.table})
        await asyncio.sleep(BETWEEN_SLICES_S)
    return count
