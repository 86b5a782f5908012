"""The audit log: append and read, never change. PostgreSQL, and its memory twin."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

from audit.domain import Entry, Origin
from service_runtime.postgres import PostgresTransaction, json_rows

MOST_ROWS = 1000
"""Entries of one payment that are shown."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """An entry in the log."""

    id: int
    entry: Entry
    recorded_at: datetime


class AuditLog(Protocol):
    """The log within one transaction."""

    async def append(self, entries: Sequence[Entry]) -> None:
        """Add the entries whose events are not in the log yet, in order."""
        ...

    async def timeline(self, payment_id: UUID) -> list[Recorded]:
        """Return a payment's entries by time, at most MOST_ROWS."""
        ...


class PostgresAuditLog:
    """The log in PostgreSQL."""

    def __init__(self, tx: PostgresTransaction) -> None:
        self._tx = tx

    async def append(self, entries: Sequence[Entry]) -> None:
        rows = json_rows([_columns(entry) for entry in entries])
        await self._tx.run("select append_entries(%(rows)s::json)", rows=rows)

    async def timeline(self, payment_id: UUID) -> list[Recorded]:
        rows = await self._tx.rows(
            """select * from audit_log where payment_id = %(payment_id)s
               order by created_at, id limit %(limit)s""",
            payment_id=payment_id,
            limit=MOST_ROWS,
        )
        return [_recorded(row) for row in rows]


def _columns(entry: Entry) -> dict[str, Any]:
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


def _recorded(row: dict[str, Any]) -> Recorded:
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
    return Recorded(row["id"], entry, row["recorded_at"])


class MemoryAuditLog:
    """The twin: lines by event id, in the order in which they came."""

    def __init__(self, tx: Any) -> None:
        self._tx = tx
        self._lines: dict[UUID, Recorded] = tx.own["audit_log"]

    async def append(self, entries: Sequence[Entry]) -> None:
        now = self._tx.clock.now()
        for entry in entries:
            line = Recorded(len(self._lines) + 1, entry, now)
            self._lines.setdefault(entry.origin.event_id, line)

    async def timeline(self, payment_id: UUID) -> list[Recorded]:
        mine = [line for line in self._lines.values() if line.entry.payment_id == payment_id]
        return sorted(mine, key=lambda line: (line.entry.origin.time, line.id))[:MOST_ROWS]
