"""Rows and refused lines in PostgreSQL."""

from collections.abc import Sequence
from typing import Any

from sample.domain import Refusal, Row
from service_runtime.imports import Line
from service_runtime.postgres import PostgresTransaction

_BEHIND = "(file, line) > (%(file)s, %(line)s) order by file, line limit %(limit)s"


class Lines:
    """Imported lines within one transaction. A line that is read again adds nothing."""

    def __init__(self, tx: PostgresTransaction) -> None:
        self._tx = tx

    async def add_rows(self, read: Sequence[tuple[Line, Row]]) -> None:
        """Add the rows of lines."""
        await self._tx.run(
            """insert into imported_row (file, line, name, quantity)
               select * from unnest(%(file)s::text[], %(line)s::integer[], %(name)s::text[],
                                    %(quantity)s::integer[]) on conflict do nothing""",
            file=[line.file for line, _ in read],
            line=[line.number for line, _ in read],
            name=[row.name for _, row in read],
            quantity=[row.quantity for _, row in read],
        )

    async def add_refusals(self, read: Sequence[tuple[Line, Refusal]]) -> None:
        """Add lines that are no rows, as they came, with the reason."""
        await self._tx.run(
            """insert into refused_line (file, line, field, reason, content)
               select * from unnest(%(file)s::text[], %(line)s::integer[], %(field)s::text[],
                                    %(reason)s::text[], %(content)s::bytea[])
               on conflict do nothing""",
            file=[line.file for line, _ in read],
            line=[line.number for line, _ in read],
            field=[refusal.field for _, refusal in read],
            reason=[refusal.reason for _, refusal in read],
            content=[line.content for line, _ in read],
        )

    async def rows(self, after: Sequence[Any], limit: int) -> list[dict[str, Any]]:
        """Return rows behind a file and line."""
        return await self._page("select file, line, name, quantity from imported_row", after, limit)

    async def refusals(self, after: Sequence[Any], limit: int) -> list[dict[str, Any]]:
        """Return refused lines behind a file and line; bytes that are not UTF-8 are replaced."""
        columns = "select file, line, field, reason, content from refused_line"
        found = await self._page(columns, after, limit)
        return [{**one, "content": one["content"].decode("utf-8", "replace")} for one in found]

    async def _page(self, columns: str, after: Sequence[Any], limit: int) -> list[dict[str, Any]]:
        file, line = after
        return await self._tx.rows(f"{columns} where {_BEHIND}", file=file, line=line, limit=limit)
