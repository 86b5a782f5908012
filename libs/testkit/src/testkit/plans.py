"""The number of rows that a statement reads, from its plan."""

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
