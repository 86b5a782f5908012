"""What a statement reads, told by PostgreSQL itself."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import psycopg
from psycopg import sql

_SCANS = ("Seq Scan", "Index Scan", "Index Only Scan", "Bitmap Heap Scan")
_DROPPED = ("Rows Removed by Filter", "Rows Removed by Index Recheck")


async def rows_read(
    connection: psycopg.AsyncConnection[Any],
    statement: str | sql.Composed,
    parameters: Mapping[str, Any] | Sequence[Any] = (),
) -> int:
    """Run a statement; return how many rows of tables it read, those it had no use for included."""
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
