"""A work table in PostgreSQL.

The table has, beside its own columns: `id uuid primary key, due_at timestamptz, attempts int,
owner text, lease_until timestamptz, epoch bigint, parked_at timestamptz, last_error text`, and
`trace jsonb` where the work continues a trace. `due_at` is null if nothing is due. A store that
saves a handled row sets its `lease_until` to null.

A store may insert a row as claimed by a worker of its process: with the owner, the epoch and the
attempt 1 and a lease of INSERTED_LEASE_S. `hand_over` passes it to the worker after the commit.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, Generic, LiteralString, TypeVar
from uuid import UUID

import orjson
from psycopg import sql
from psycopg.rows import DictRow

from service_runtime import metrics
from service_runtime.logs import Log
from service_runtime.messages import Cause, Due, Trace
from service_runtime.ports import Taker, Transaction
from service_runtime.postgres import PostgresTransaction

R = TypeVar("R")
_log = Log("work")
parked = metrics.counter("work_parked", "Due rows that were parked for a person.")

INSERTED_LEASE_S = 12.0
"""The lease of a row that is inserted as leased: two seconds to wait for its turn, then a lease."""

_CLAIM = """
    with due as ({due})
    update {table} as work
       set owner = %(owner)s, lease_until = clock_timestamp() + make_interval(secs => %(lease_s)s),
           epoch = epoch + 1, attempts = attempts + 1
      from due where work.id = due.id returning work.*"""
_DUE = """select id from {table} where {is_due} order by due_at limit %(limit)s
    for update skip locked"""
# now(), the start of the claim's own short transaction, bounds the index; clock_timestamp() may
# change from row to row, so that with it every row of the index is read (20 ms, 100,000 rows).
_IS_DUE = """due_at <= now() and parked_at is null
    and (lease_until is null or lease_until < now())"""


class PostgresWorkTable(Generic[R]):
    """Leases rows of one table to workers.

    `only`: values of columns that restrict a worker to its share of the table. `due`: instead, a
    query that locks rows that are due, and returns at most `limit` ids.
    """

    def __init__(
        self,
        name: str,
        row: Callable[[DictRow], R],
        only: Mapping[str, str] | None = None,
        due: LiteralString | None = None,
    ) -> None:
        self.name = name
        self._row = row
        table = sql.Identifier(name)
        query = _due(table, only or {}) if due is None else sql.SQL(due)
        self._claim = sql.SQL(_CLAIM).format(table=table, due=query)
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
        """Lease due rows, oldest first, without those that other workers hold.

        A row that cannot be mapped, for its unknown status for instance, is parked.
        """
        parameters = {"owner": tx.owner, "lease_s": lease_s, "limit": limit}
        cursor = await tx.connection.execute(self._claim, parameters)
        rows = sorted(await cursor.fetchall(), key=lambda row: (row["due_at"], row["id"]))
        due = []
        for row in rows:
            try:
                due.append(self._due(row))
            except Exception as error:  # noqa: BLE001 - any error concerns this row alone
                await self._park_unreadable(tx, row, type(error).__qualname__)
        return due

    async def _park_unreadable(self, tx: PostgresTransaction, row: DictRow, error: str) -> None:
        _log.error("set_aside", work_id=row["id"], error_class=error)
        await self.park(tx, Due(None, Cause(row["id"]), row["epoch"], row["attempts"]), error)
        parked.add(1, {"table": self.name})

    async def still_mine(self, tx: PostgresTransaction, due: Sequence[Due[Any]]) -> set[UUID]:
        """Lock the rows; return the ids of those whose lease epoch has not changed."""
        mine = orjson.dumps([{"id": item.cause.id, "epoch": item.epoch} for item in due]).decode()
        cursor = await tx.connection.execute(self._still_mine, (mine,))
        return {row["id"] for row in await cursor.fetchall()}

    async def park(self, tx: PostgresTransaction, due: Due[Any], error: str) -> None:
        """Park the row for a person; it is never deleted."""
        await tx.connection.execute(self._park, (error, due.cause.id, due.epoch))

    def _due(self, row: DictRow) -> Due[R]:
        trace = tuple((name, value) for name, value in row.get("trace") or ())
        cause = Cause(row["id"], trace, str(row["epoch"]))
        return Due(self._row(row), cause, row["epoch"], row["attempts"])


def hand_over(
    tx: Transaction,
    inserted: Collection[UUID],
    new: Iterable[tuple[UUID, Any, Trace, Taker | None]],
) -> None:
    """Hand the inserted rows over, after the commit, to their takers: (id, row, trace, taker)."""
    left = set(inserted)
    for row_id, row, trace, taker in new:
        # A row may be twice among the new ones; the first was inserted.
        if row_id in left and taker is not None:
            tx.handed_over.append((taker, Due(row, Cause(row_id, trace, "1"), 1, 1)))
        left.discard(row_id)


def _due(table: sql.Identifier, only: Mapping[str, str]) -> sql.Composed:
    """Return the query that finds and locks a slice."""
    shares = [
        sql.SQL("and {} = {}").format(sql.Identifier(column), sql.Literal(value))
        for column, value in only.items()
    ]
    is_due = sql.SQL(" ").join([sql.SQL(_IS_DUE), *shares])
    return sql.SQL(_DUE).format(table=table, is_due=is_due)
