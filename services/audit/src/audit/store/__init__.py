"""The append-only audit log: the port, PostgreSQL, and the memory twin."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

from psycopg import AsyncCursor
from psycopg.rows import DictRow
from pydantic import ValidationError

from audit.domain import UNREADABLE, Entry, Origin, RawEvent, entry_of
from audit.domain.sealing import Columns
from audit.store.trees import Trees
from payment_schemas.checkpoints import LIVE
from service_runtime.postgres import PostgresTransaction, json_rows

MOST_ROWS = 1000
"""Maximum number of entries in a timeline."""


@dataclass(frozen=True, slots=True)
class StoredEntry:
    """An entry with its id and the time of its recording."""

    id: int
    entry: Entry
    recorded_at: datetime


class AuditLog(Protocol):
    """The audit log within one transaction."""

    async def append_raw(self, events: Sequence[tuple[RawEvent, Origin]]) -> None:
        """Append events as bytes, in order; those that are in the log are skipped."""
        ...

    async def append(self, entries: Sequence[Entry]) -> None:
        """Append entries in order; an entry whose event is in the log is skipped."""
        ...

    async def timeline(self, payment_id: UUID) -> list[StoredEntry]:
        """Return a payment's entries by time, at most MOST_ROWS."""
        ...


class PostgresAuditLog:
    """The audit log in PostgreSQL. What is appended is added to the trees, too."""

    def __init__(self, tx: PostgresTransaction) -> None:
        self._tx = tx
        self._trees = Trees(tx)

    async def append_raw(self, events: Sequence[tuple[RawEvent, Origin]]) -> None:
        columns = Columns.of((one.name, one.payment_id, at, one.value) for one, at in events)
        appended = await self._tx.connection.execute(
            "select * from append_raw(%b::text[], %b::uuid[], %b::timestamptz[], %b::uuid[],"
            " %b::text[], %b::int[], %b::bigint[], %b::bytea[])",
            list(map(list, columns)),
        )
        await self._seal(appended, columns, is_raw=True)

    async def append(self, entries: Sequence[Entry]) -> None:
        appended = await self._tx.connection.execute(
            "select * from append_entries(%(rows)s::json)",
            {"rows": json_rows([columns_of(entry) for entry in entries])},
        )
        columns = Columns.of((one.event, one.payment_id, one.origin, b"") for one in entries)
        await self._seal(appended, columns, is_raw=False)

    async def _seal(
        self, appended: AsyncCursor[DictRow], columns: Columns, *, is_raw: bool
    ) -> None:
        """Add a leaf to its tree for each row that a statement has added."""
        # One round trip: the trees are requested before the statement's result is awaited.
        frontiers = await self._trees.frontiers(LIVE, columns.trees())
        found = await appended.fetchone()
        if found is None or not found["added"]:
            return
        first = found["first_id"]
        ids = found["row_ids"] or range(first, first + found["added"])
        added = columns.added(found["event_ids"], found["event_topics"])
        if not is_raw:
            added = added._replace(contents=list(map(str.encode, found["contents"])))
        leaves = added.leaves(ids, is_raw=is_raw)
        await self._trees.grow(LIVE, leaves, frontiers)

    async def timeline(self, payment_id: UUID) -> list[StoredEntry]:
        rows = await self._tx.rows(
            """select * from audit_log where payment_id = %(payment_id)s
               order by created_at, id limit %(limit)s""",
            payment_id=payment_id,
            limit=MOST_ROWS,
        )
        return [_stored_entry(row) for row in rows]


def columns_of(entry: Entry) -> dict[str, Any]:
    """Return the columns of an entry, as `append_entries` takes them."""
    origin = entry.origin
    return {
        "event": entry.event,
        "payment_id": entry.payment_id,
        "tx_id": entry.tx_id,
        "user_id": entry.user_id,
        "reference": entry.reference,
        "metadata": entry.metadata,
        "created_at": origin.time,
        "event_id": origin.event_id,
        "topic": origin.topic,
        "partition": origin.partition,
        "offset": origin.offset,
    }


def _stored_entry(row: dict[str, Any]) -> StoredEntry:
    origin = Origin(
        row["event_id"], row["created_at"], row["topic"], row["partition"], row["offset"]
    )
    entry = Entry(
        row["event"],
        origin,
        row["metadata"],
        row["payment_id"],
        row["tx_id"],
        row["user_id"],
        row["reference"],
    )
    return StoredEntry(row["id"], entry, row["recorded_at"])


class MemoryAuditLog:
    """The memory twin: entries by topic and event id, in the order of arrival."""

    def __init__(self, tx: Any) -> None:
        self._tx = tx
        self._entries: dict[tuple[str, UUID], StoredEntry] = tx.own["audit_log"]

    async def append_raw(self, events: Sequence[tuple[RawEvent, Origin]]) -> None:
        for event, origin in events:
            self._tx.own["audit_raw"].setdefault((origin.topic, origin.event_id), event.value)
        await self.append([_decoded(event, origin) for event, origin in events])

    async def append(self, entries: Sequence[Entry]) -> None:
        now = self._tx.clock.now()
        for entry in entries:
            stored = StoredEntry(len(self._entries) + 1, entry, now)
            self._entries.setdefault((entry.origin.topic, entry.origin.event_id), stored)

    async def timeline(self, payment_id: UUID) -> list[StoredEntry]:
        found = [one for one in self._entries.values() if one.entry.payment_id == payment_id]
        return sorted(found, key=lambda one: (one.entry.origin.time, one.id))[:MOST_ROWS]


def _decoded(event: RawEvent, origin: Origin) -> Entry:
    try:
        return entry_of(event.kind.model_validate_json(event.value), origin)
    except ValidationError:
        return Entry(UNREADABLE, origin, {}, event.payment_id)
