"""Which records lie in the topics, in a private file that goes with the check."""

import sqlite3
from collections.abc import Collection, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self
from uuid import UUID

_CREATE = """create table record (
    topic text not null, "partition" integer not null, "offset" integer not null, event_id text,
    primary key (topic, "partition", "offset")) without rowid"""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a record lies, and its event's id where one can be read."""

    topic: str
    partition: int
    offset: int
    event_id: str | None

    def __str__(self) -> str:
        return f"{self.topic}/{self.partition}/{self.offset}"


def place_of(record: Any) -> Place:
    """Return where a record of Kafka lies."""
    ids = [value for name, value in record.headers if name == "ce_id"]
    return Place(record.topic, record.partition, record.offset, _uuid_in(ids[0]) if ids else None)


def _uuid_in(raw: bytes | None) -> str | None:
    try:
        return str(UUID((raw or b"").decode()))
    except ValueError:
        return None


class Produced:
    """Records by their place and by their id."""

    def __init__(self) -> None:
        # No name: SQLite keeps it in memory while it is small, else in a file of its own.
        self._db = sqlite3.connect("", check_same_thread=False)
        self._db.execute("pragma journal_mode = off")
        self._db.execute(_CREATE)
        self._db.execute("create index by_id on record (event_id)")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._db.close()

    def add(self, places: Iterable[Place]) -> None:
        """Keep places."""
        rows = ((one.topic, one.partition, one.offset, one.event_id) for one in places)
        self._db.executemany("insert into record values (?, ?, ?, ?)", rows)

    def of(self, topics: Collection[str]) -> Iterator[Place]:
        """Yield the places in these topics."""
        for topic in topics:
            with closing(
                self._db.execute("select * from record where topic = ?", (topic,))
            ) as rows:
                yield from (Place(*row) for row in rows)

    def holds(self, event_id: str) -> bool:
        """Say whether an event was produced."""
        found = self._db.execute("select 1 from record where event_id = ?", (event_id,))
        return found.fetchone() is not None
