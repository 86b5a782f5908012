"""The records of the topics, in a temporary database."""

from collections.abc import Collection, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from ops.check.scratch import Scratch

_CREATE = """create table record (
    topic text not null, "partition" integer not null, "offset" integer not null, event_id text,
    primary key (topic, "partition", "offset")) without rowid"""


@dataclass(frozen=True, slots=True)
class ProducedRecord:
    """A record's position, and its event's id if it is readable."""

    topic: str
    partition: int
    offset: int
    event_id: str | None

    def __str__(self) -> str:
        return f"{self.topic}/{self.partition}/{self.offset}"


def produced_record(record: Any) -> ProducedRecord:
    """Return the position and event id of a Kafka record."""
    ids = [value for name, value in record.headers if name == "ce_id"]
    return ProducedRecord(
        record.topic, record.partition, record.offset, _uuid_in(ids[0]) if ids else None
    )


def _uuid_in(raw: bytes | None) -> str | None:
    try:
        return str(UUID((raw or b"").decode()))
    except ValueError:
        return None


class ProducedRecords(Scratch):
    """Records by position and by event id."""

    def __init__(self) -> None:
        super().__init__(_CREATE, "create index by_id on record (event_id)")

    def add(self, records: Iterable[ProducedRecord]) -> None:
        """Store records."""
        rows = ((one.topic, one.partition, one.offset, one.event_id) for one in records)
        self._db.execute("begin")
        self._db.executemany("insert into record values (?, ?, ?, ?)", rows)
        self._db.execute("commit")

    def of(self, topics: Collection[str]) -> Iterator[ProducedRecord]:
        """Yield the records of these topics."""
        for topic in topics:
            with closing(
                self._db.execute("select * from record where topic = ?", (topic,))
            ) as rows:
                yield from (ProducedRecord(*row) for row in rows)

    def holds(self, event_id: str) -> bool:
        """Say whether an event was produced."""
        found = self._db.execute("select 1 from record where event_id = ?", (event_id,))
        return found.fetchone() is not None
