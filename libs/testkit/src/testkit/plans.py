"""How statements are planned: the rows that they read, and whether they read whole tables."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, LiteralString

import psycopg
from psycopg import sql
from psycopg.rows import DictRow

from service_runtime.postgres import PostgresTransaction

_SCANS = ("Seq Scan", "Index Scan", "Index Only Scan", "Bitmap Heap Scan")
_DROPPED = ("Rows Removed by Filter", "Rows Removed by Index Recheck")


async def rows_read(
    connection: psycopg.AsyncConnection[Any],
    statement: str | sql.Composed,
    parameters: Mapping[str, Any] | Sequence[Any] = (),
) -> int:
    """Run a statement; return the number of rows that it read, filtered ones included."""
    text = statement if isinstance(statement, str) else statement.as_string(connection)
    explain = f"explain (analyze, timing off, format json) {text}".encode()
    row = await (await connection.execute(explain, parameters)).fetchone()
    assert row is not None
    (document,) = row.values() if isinstance(row, dict) else row
    return sum(_read(node) for node in _nodes(document[0]["Plan"]))


def _nodes(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield node
    for inner in node.get("Plans", ()):
        yield from _nodes(inner)


def _read(node: dict[str, Any]) -> int:
    if node["Node Type"] not in _SCANS:
        return 0
    each = node["Actual Rows"] + sum(node.get(name, 0) for name in _DROPPED)
    return int(each * node["Actual Loops"])


async def rows_touched(tx: PostgresTransaction) -> dict[str, Counter[str]]:
    """Return, by table, what this session has done lately, also within functions.

    `scanned`: sequential scans; `read`: rows that scans of any kind have read. The counters include
    earlier transactions, so compare two readings of one transaction: `touched_since`.
    """
    rows = await tx.rows(
        """select relname, seq_scan as scanned,
                  coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0) as read
           from pg_stat_xact_user_tables"""
    )
    return {row["relname"]: Counter(scanned=row["scanned"], read=row["read"]) for row in rows}


async def touched_since(
    before: Mapping[str, Counter[str]], tx: PostgresTransaction
) -> dict[str, Counter[str]]:
    """Return, by table, the sequential scans and the rows read since an earlier reading."""
    after = await rows_touched(tx)
    return {table: counts - before.get(table, Counter()) for table, counts in after.items()}


class CountingTransaction(PostgresTransaction):
    """A transaction that counts the rows that its statements read."""

    def __init__(self, tx: PostgresTransaction) -> None:
        super().__init__(tx.connection, tx.owner)
        self.read = 0

    async def rows(self, statement: LiteralString, **parameters: Any) -> list[DictRow]:
        """Run a query twice: once to count, once for its rows."""
        self.read += await rows_read(self.connection, statement, parameters)
        return await super().rows(statement, **parameters)

    async def run(self, statement: LiteralString, **parameters: Any) -> None:
        """Run a statement and count its rows."""
        if statement.lstrip().startswith("set "):
            await super().run(statement, **parameters)
        else:
            self.read += await rows_read(self.connection, statement, parameters)


class PlanningConnection:
    """A connection that explains each statement before it runs it, and keeps what is slow in it."""

    def __init__(self, connection: psycopg.AsyncConnection[Any]) -> None:
        self._connection = connection
        self.explained = 0
        self.slow: list[str] = []
        """Sequential scans and hashed subplans, with their statements."""

    async def execute(
        self, statement: str | bytes | sql.Composed, parameters: Any = None
    ) -> psycopg.AsyncCursor[Any]:
        """Explain and run a statement; what is no query is only run."""
        text = (
            statement.as_string(self._connection)
            if isinstance(statement, sql.Composed)
            else (statement.decode() if isinstance(statement, bytes) else statement)
        )
        if text.split(maxsplit=1)[0].lower() in ("select", "with", "insert", "update", "delete"):
            explain = f"explain (format json) {text}".encode()
            row = await (await self._connection.execute(explain, parameters)).fetchone()
            (document,) = row.values() if isinstance(row, dict) else row or ([],)
            self.explained += 1
            self.slow += [f"{fault} in {text}" for fault in _slow(document[0]["Plan"])]
        return await self._connection.execute(text.encode(), parameters)


def _slow(plan: dict[str, Any]) -> Iterator[str]:
    for node in _nodes(plan):
        if node["Node Type"] == "Seq Scan":
            yield f"sequential scan of {node['Relation Name']}"
        if any("hashed SubPlan" in str(value) for name, value in node.items() if name != "Plans"):
            yield "hashed subplan"


def planning(tx: PostgresTransaction) -> tuple[PostgresTransaction, PlanningConnection]:
    """Return the transaction with a connection that explains."""
    connection: Any = PlanningConnection(tx.connection)
    return PostgresTransaction(connection, tx.owner), connection


def multiply(owner: psycopg.Connection[Any], table: str, rows: int, **changes: str) -> None:
    """Insert copies of a table's only row; `changes` are expressions of the copy's number `n`."""
    found = owner.execute(
        """select column_name from information_schema.columns
           where table_schema = current_schema() and table_name = %s and is_identity = 'NO'
             and is_generated = 'NEVER'""",
        (table,),
    ).fetchall()
    names = [name for (name,) in found]
    values = [sql.SQL(changes.get(name, f't."{name}"')) for name in names]
    owner.execute(
        sql.SQL(
            "insert into {table} ({names}) select {values} from {table} as t,"
            " generate_series(1, {rows}) as n"
        ).format(
            table=sql.Identifier(table),
            names=sql.SQL(", ").join(map(sql.Identifier, names)),
            values=sql.SQL(", ").join(values),
            rows=sql.Literal(rows),
        )
    )
    owner.execute(sql.SQL("analyze {}").format(sql.Identifier(table)))
