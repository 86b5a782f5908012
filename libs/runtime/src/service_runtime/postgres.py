"""PostgreSQL: the pool, transactions, and rows that are sent as one JSON parameter.

One JSON parameter a statement costs 10 µs of client CPU a row, `executemany` 26, one statement
a row 93 (measured, 100 rows a transaction).
"""

import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, nullcontext
from typing import Any, LiteralString, Self

import orjson
import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo
from psycopg.rows import DictRow, dict_row
from psycopg_pool import AsyncConnectionPool

from service_runtime import metrics, tracing
from service_runtime.consumed import PostgresConsumed
from service_runtime.inbox import PostgresInbox
from service_runtime.logs import Log
from service_runtime.messages import Due
from service_runtime.outbox import CLAIM_S, PostgresOutbox
from service_runtime.ports import OutboxRow, Taker
from service_runtime.settings import DatabaseSettings

Connection = psycopg.AsyncConnection[DictRow]

_log = Log("postgres")
_left = metrics.counter("database_read_only", "Connections dropped: the server was read-only.")

QueryProfile = Mapping[str, str]
"""Settings of PostgreSQL under which statements are planned and run."""

_LIMITS: QueryProfile = {
    # A frozen process must not freeze the rest: a waiter gives up, a holder is cut off.
    "lock_timeout": "3s",
    "statement_timeout": "10s",
    "idle_in_transaction_session_timeout": "10s",
    "jit": "off",
}
KEYED: QueryProfile = {
    # Every hot statement looks up a few keys. A plan that is made while a table is empty would
    # scan it forever; planning anew each time costs more than the look-up.
    "plan_cache_mode": "force_generic_plan",
    "enable_seqscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
}
"""For a pool whose statements look up rows by keys, as an event path's do."""
PLANNED: QueryProfile = {
    "plan_cache_mode": "auto",
    "enable_seqscan": "on",
    "enable_hashjoin": "on",
    "enable_mergejoin": "on",
}
"""For a pool or a transaction with queries of any shape: the planner decides."""
REPORT: QueryProfile = {**PLANNED, "statement_timeout": "5min"}
"""For a transaction that reads whole tables, as a nightly check does."""
POOL_WAIT_S = 3.0
RECONNECT_WITHIN_S = 5.0
"""Of one series of attempts with doubling waits. The next request for a connection starts another
series: by the default, a minute's outage is followed by a wait of another minute."""
BETWEEN_DEPARTURES_S = 1.0
_LINK: dict[str, str | int] = {
    "connect_timeout": 3,
    # Of several hosts, or behind a moving address, only a writable server is used.
    "target_session_attrs": "read-write",
    # A lost machine sends no reset; keepalives find it.
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
}


def json_rows(rows: Sequence[object]) -> str:
    """Return rows (dicts, dataclasses) or plain values as one parameter for `json_to_recordset`."""
    return orjson.dumps(rows).decode()


class PostgresTransaction(PostgresConsumed, PostgresInbox, PostgresOutbox):
    """One transaction: methods for the runtime's tables, `rows` and `run` for a store's."""

    def __init__(self, connection: Connection, owner: str) -> None:
        self.connection = connection
        self.owner = owner
        self.handed_over: list[tuple[Taker, Due[Any]]] = []

    async def rows(self, statement: LiteralString, **parameters: Any) -> list[DictRow]:
        """Run a statement and return its rows."""
        cursor = await self.connection.execute(statement, parameters)
        return await cursor.fetchall()

    async def use(self, profile: QueryProfile) -> None:
        """Run the statements that follow, up to the commit, under another profile."""
        settings = sql.SQL(", ").join(
            sql.SQL("set_config({}, {}, true)").format(name, value)
            for name, value in profile.items()
        )
        await self.connection.execute(sql.SQL("select {}").format(settings))

    async def copy_out(
        self, query: LiteralString, **parameters: Any
    ) -> AsyncIterator[tuple[Any, ...]]:
        """Yield the rows of a query of any size as COPY sends them: their columns as text.

        Only in a transaction without a pipeline.
        """
        statement = sql.SQL("copy ({}) to stdout").format(sql.SQL(query))
        async with self.connection.cursor().copy(statement, parameters) as copy:
            async for row in copy.rows():
                yield row

    async def run(self, statement: LiteralString, **parameters: Any) -> None:
        """Send a statement without waiting for its result; an error fails the transaction."""
        await self.connection.execute(statement, parameters)


class PostgresDatabase:
    """The pool of one service; opened at start, closed at stop."""

    def __init__(
        self, settings: DatabaseSettings, owner: str, profile: QueryProfile = KEYED
    ) -> None:
        self._owner = owner
        self._left_s = -BETWEEN_DEPARTURES_S
        self._pool: AsyncConnectionPool[Connection] = AsyncConnectionPool(
            make_conninfo(
                settings.database_url,
                password=settings.database_password,
                options=" ".join(f"-c {n}={v}" for n, v in {**_LIMITS, **profile}.items()),
                application_name=owner,
                **_LINK,
            ),
            min_size=2,
            max_size=settings.database_pool_size,
            timeout=POOL_WAIT_S,
            reconnect_timeout=RECONNECT_WITHIN_S,
            max_waiting=256,
            kwargs={"row_factory": dict_row},
            open=False,
        )

    async def __aenter__(self) -> Self:
        await self._pool.open()
        return self

    async def __aexit__(self, *_error: object) -> None:
        await self._pool.close(timeout=2)

    @asynccontextmanager
    async def transaction(self, *, pipelined: bool = True) -> AsyncIterator[PostgresTransaction]:
        """Open a transaction: committed at the end of the block, rolled back on an error.

        Statements are pipelined: only `rows` waits for a result, and the last statements share
        their round trip with the commit. COPY needs a transaction without a pipeline.
        """
        try:
            with tracing.calling("transaction", **{"db.system.name": "postgresql"}):
                async with (
                    self._pool.connection() as connection,
                    connection.pipeline() if pipelined else nullcontext(),
                ):
                    yield PostgresTransaction(connection, self._owner)
                    await connection.commit()
        except psycopg.errors.ReadOnlySqlTransaction:
            await self._leave_server()
            raise

    async def _leave_server(self) -> None:
        """Reconnect: the server has become read-only, another one is the primary."""
        if time.monotonic() - self._left_s < BETWEEN_DEPARTURES_S:
            return
        self._left_s = time.monotonic()
        _left.add(1)
        _log.warning("database_read_only")
        await self._pool.drain()

    async def claim_outbox(self, limit: int) -> list[OutboxRow]:
        """Claim outbox rows whose claim has run out."""
        async with self.transaction() as tx:
            return await tx.claim_outbox(limit, CLAIM_S)

    async def delete_outbox(self, ids: Sequence[int]) -> None:
        """Delete acknowledged rows; asynchronously, because a lost delete only repeats records."""
        async with self.transaction() as tx:
            await tx.connection.execute("set local synchronous_commit = off")
            await tx.delete_outbox(ids)

    async def count_outbox(self) -> int:
        """Count the records in the outbox."""
        async with self.transaction() as tx:
            found = await tx.rows("select coalesce(sum(record_count), 0) as waiting from outbox")
        return int(found[0]["waiting"])

    async def reachable(self) -> bool:
        """Return whether the database responds and is writable."""
        try:
            async with self.transaction() as tx:
                found = await tx.rows("select current_setting('transaction_read_only') as setting")
        except psycopg.Error:
            return False
        if found[0]["setting"] == "off":
            return True
        await self._leave_server()
        return False
