"""A temporary database of one check, which spills to disk."""

import sqlite3
from types import TracebackType
from typing import LiteralString, Self


class Scratch:
    """The tables of one check, created by its statements."""

    def __init__(self, *statements: LiteralString) -> None:
        # Without a name, SQLite keeps it in memory while it is small, else in a temporary file.
        self._db = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        self._db.execute("pragma journal_mode = off")
        for statement in statements:
            self._db.execute(statement)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._db.close()
