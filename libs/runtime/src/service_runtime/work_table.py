"""A work table in PostgreSQL.

The table has, beside its own columns: `id uuid primary key, due_at timestamptz, attempts int,
owner text, lease_until timestamptz, epoch bigint, parked_at timestamptz, last_error text`, and
`trace jsonb` where the work continues a trace. `due_at` is null where nothing is to be done.
Whoever saves a row that it has worked on sets `lease_until` to null with it.
"""

from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar
from uuid import UUID

import orjson
from psycopg import sql
from psycopg.rows import DictRow

from service_runtime.messages import Cause, Due
from service_runtime.postgres import PostgresTransaction

R = TypeVar("R")


class PostgresWorkTable(Generic[R]):
    """Leases rows of one table to workers."""

    def __init__(self, name: str, row: Callable[[DictRow], R]) -> None:
        self.name = name
        self._row = row
        table = sql.Identifier(name)
        self._claim = sql.SQL(
            """update {table} as work
               set owner = %s, lease_until = clock_timestamp() + make_interval(secs => %s),
                   epoch = epoch + 1, attempts = attempts + 1
               from (select id from {table}
                     where due_at <= clock_timestamp() and parked_at is null
                       and (lease_until is null or lease_until < clock_timestamp())
                     order by due_at limit %s for update skip locked) as due
               where work.id = due.id returning work.*"""
        ).format(table=table)
        self._still_mine = sql.SQL(
            """select work.id from {table} as work
               join json_to_recordset(%s::json) as mine (id uuid, epoch bigint)
                 on work.id = mine.id and work.epoch = mine.epoch
               order by work.id for update of work"""
        ).format(table=table)
        self._park = sql.SQL(
            """update {table} set parked_at = clock_timestamp(), last_error = %s, lease_until = null
               where id = %s and epoch = %s"""
        ).format(table=table)

    async def claim(self, tx: PostgresTransaction, limit: int, lease_s: float) -> Sequence[Due[R]]:
        """Lease rows that are due, oldest first, skipping those that others have."""
        cursor = await tx.connection.execute(self._claim, (tx.owner, lease_s, limit))
        rows = sorted(await cursor.fetchall(), key=lambda row: (row["due_at"], row["id"]))
        return [self._due(row) for row in rows]

    async def still_mine(self, tx: PostgresTransaction, due: Sequence[Due[Any]]) -> set[UUID]:
        """Lock the rows; return the ids of those whose epoch is still the one that was leased."""
        mine = orjson.dumps([{"id": item.cause.id, "epoch": item.epoch} for item in due]).decode()
        cursor = await tx.connection.execute(self._still_mine, (mine,))
        return {row["id"] for row in await cursor.fetchall()}

    async def park(self, tx: PostgresTransaction, due: Due[Any], error: str) -> None:
        """Set the row aside for a person; it is never deleted."""
        await tx.connection.execute(self._park, (error, due.cause.id, due.epoch))

    def _due(self, row: DictRow) -> Due[R]:
        trace = tuple((name, value) for name, value in row.get("trace") or ())
        cause = Cause(row["id"], trace, str(row["epoch"]))
        return Due(self._row(row), cause, row["epoch"], row["attempts"])
