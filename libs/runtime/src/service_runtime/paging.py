"""Keyset paging: a listing goes on behind the key of the last row, by an opaque cursor.

An offset would read all rows before a page, and rows that come or go would shift the pages.
"""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any
from uuid import UUID

import orjson
from fastapi import HTTPException, Query
from pydantic import StringConstraints, TypeAdapter

MOST_CURSOR_CHARACTERS = 512
# PostgreSQL's text holds no NUL.
_KINDS: dict[type, TypeAdapter[Any]] = {
    str: TypeAdapter(Annotated[str, StringConstraints(pattern=r"^[^\x00]*$")])
}


@dataclass(frozen=True, slots=True)
class Page:
    """What a caller asks for: at most `limit` rows behind the key `after`."""

    keyset: "Keyset"
    after: tuple[Any, ...]
    limit: int

    def reply(self, name: str, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """Return the body: the rows, and `next`, the cursor behind them; null at the end."""
        cursor = self.keyset.cursor_of(rows[-1]) if len(rows) == self.limit else None
        return {name: rows, "next": cursor}


class Keyset:
    """The columns that a listing is in the order of, as a FastAPI dependency that yields a `Page`.

    `first`: a key before all rows; its values' types are the columns'. The columns of a row must
    identify it. The cursor of a listing by one column of text or ids is the value itself, so that a
    check can begin at any id; callers take it as opaque.
    """

    def __init__(self, columns: Sequence[str], first: Sequence[Any], most: int = 1000) -> None:
        self._columns = columns
        self._first = tuple(first)
        self._most = most
        self._kinds = [_KINDS.get(type(value)) or TypeAdapter(type(value)) for value in first]

    def __call__(
        self,
        after: Annotated[str | None, Query(max_length=MOST_CURSOR_CHARACTERS)] = None,
        limit: Annotated[int | None, Query(ge=1)] = None,
    ) -> Page:
        """Return the page that a query asks for; answer 400 to a cursor or limit out of bounds."""
        if limit is not None and limit > self._most:
            raise _invalid("limit", f"must be at most {self._most}")
        return Page(self, self._first if after is None else self._read(after), limit or self._most)

    def cursor_of(self, row: Mapping[str, Any]) -> str:
        """Return the cursor behind a row."""
        values = [row[column] for column in self._columns]
        if len(values) == 1:
            return str(values[0])
        return base64.urlsafe_b64encode(orjson.dumps(values)).decode()

    def _read(self, cursor: str) -> tuple[Any, ...]:
        try:
            values = [cursor] if len(self._kinds) == 1 else _decoded(cursor)
            kinds = zip(self._kinds, values, strict=True)
            return tuple(kind.validate_python(value) for kind, value in kinds)
        except (ValueError, TypeError):
            raise _invalid("after", "must be the cursor of a page") from None


START = UUID(int=0)
"""Less than every id."""
BY_PAYMENT = Keyset(["payment_id"], [START])
"""The order of every export of payments, so that a check can join those of all owners."""


def _decoded(cursor: str) -> Any:
    return orjson.loads(base64.b64decode(cursor, altchars=b"-_", validate=True))


def _invalid(field: str, details: str) -> HTTPException:
    return HTTPException(400, {"error": f"Invalid field: {field}", "details": details})
