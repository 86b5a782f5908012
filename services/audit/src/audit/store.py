"""The audit log: append and read, never change. PostgreSQL, and its twin in memory."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol
from uuid import UUID

from audit.domain import (
    FINAL,
    QUIET,
    TRANSITIONS,
    Entry,
    Origin,
    Timeline,
    Violation,
    is_finished,
    violations_of,
)
from service_runtime.postgres import REPORT, PostgresTransaction, json_rows

MOST_ROWS = 1000
"""Entries of one payment that are shown."""
MOST_FINDINGS = 100
COUNTED = 10_000
"""Past it a check stops counting dead letters."""
EVERYTHING = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Recorded:
    """An entry as it stands in the log."""

    id: int
    entry: Entry
    recorded_at: datetime


@dataclass(frozen=True, slots=True)
class Unfinished:
    """A payment that has not come to its end."""

    payment_id: UUID
    age_s: int


@dataclass(frozen=True, slots=True)
class Findings:
    """What a check of the log has found, at most MOST_FINDINGS of each."""

    violations: Sequence[Violation]
    unfinished: Sequence[Unfinished]
    dead_letters: int


class AuditLog(Protocol):
    """The log within one transaction."""

    async def append(self, entries: Sequence[Entry]) -> None:
        """Add the entries whose events are not in the log yet, in order."""
        ...

    async def timeline(self, payment_id: UUID) -> list[Recorded]:
        """Return a payment's entries by time, at most MOST_ROWS."""
        ...

    async def timelines(self, after: UUID, limit: int) -> list[Timeline]:
        """Return payments by id, from the one behind `after` on."""
        ...

    async def check(self, since: datetime, now: datetime) -> Findings:
        """Hold the payments with entries recorded since then against the invariants.

        The log is append-only: what nothing was added to stays what it was. From EVERYTHING on, all
        are looked at.
        """
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

    async def timelines(self, after: UUID, limit: int) -> list[Timeline]:
        rows = await self._tx.rows(
            """select page.payment_id, entries.events, entries.versions
               from (select distinct payment_id from audit_log where payment_id > %(after)s
                     order by payment_id limit %(limit)s) as page
               cross join lateral (
                   select array_agg(event order by created_at, id) as events,
                          array_agg((metadata->>'version')::bigint order by created_at, id)
                              as versions
                   from (select id, event, metadata, created_at from audit_log as entry
                         where entry.payment_id = page.payment_id
                         order by created_at, id limit %(most)s) as first) as entries
               order by page.payment_id""",
            after=after,
            limit=limit,
            most=MOST_ROWS,
        )
        return [
            Timeline(row["payment_id"], tuple(row["events"]), tuple(row["versions"]))
            for row in rows
        ]

    async def check(self, since: datetime, now: datetime) -> Findings:
        asked = {"since": since, "now": now, "most": MOST_FINDINGS, "final": list(FINAL)}
        asked |= {"transitions": list(TRANSITIONS), "quiet_since": now - QUIET}
        if since == EVERYTHING:
            await self._tx.use(REPORT)
        violations = await self._tx.rows(_FACTS + _VIOLATIONS, **asked)
        unfinished = await self._tx.rows(_FACTS + _UNFINISHED, **asked)
        letters = await self._tx.rows(
            """select count(*) as dead_letters
               from (select from dead_letter limit %(most)s) as letters""",
            most=COUNTED,
        )
        return Findings(
            [Violation(**row) for row in violations],
            [Unfinished(**row) for row in unfinished],
            letters[0]["dead_letters"],
        )


# The rules of the domain, said again in SQL: a day's payments do not travel to be looked at.
_FACTS = """
    with recent as (
        select distinct payment_id from audit_log
        where recorded_at >= %(since)s and payment_id is not null
    ), facts as (
        select payment_id, array_agg(event) as events, min(created_at) as began_at,
               max(recorded_at) < %(quiet_since)s as is_quiet,
               count(*) filter (where event = any (%(transitions)s)) as transitions,
               count(distinct coalesce(metadata->>'version', ''))
                   filter (where event = any (%(transitions)s)) as versions,
               min((metadata->>'version')::bigint)
                   filter (where event = any (%(transitions)s)) as first_version
        from audit_log join recent using (payment_id) group by payment_id
    )"""
_VIOLATIONS = """
    select invariant, payment_id, details
    from facts cross join lateral (values
        ('I4', 'confirmed and declined',
         events @> '{PAYMENT_CONFIRMED,PAYMENT_DECLINED}'),
        ('I2', 'settled and rejected',
         events @> '{SETTLEMENT_SETTLED,SETTLEMENT_REJECTED}'),
        ('I9', 'two transitions share a version',
         versions < transitions),
        ('I9', 'no entry of the first version',
         is_quiet and first_version is distinct from 1),
        ('I12', 'confirmed without a risk result',
         is_quiet and events @> '{PAYMENT_CONFIRMED}' and not events @> '{RISK_ASSESSED}'),
        ('I9', 'confirmed, and its settlement was not asked for',
         is_quiet and events @> '{PAYMENT_CONFIRMED}' and not events @> '{SETTLEMENT_REQUESTED}')
    ) as rule (invariant, details, broken)
    where broken order by payment_id, details limit %(most)s"""
_UNFINISHED = """
    select payment_id, floor(extract(epoch from %(now)s - began_at))::int as age_s
    from facts where not events && %(final)s
    order by began_at, payment_id limit %(most)s"""


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

    async def timelines(self, after: UUID, limit: int) -> list[Timeline]:
        known = {line.entry.payment_id for line in self._lines.values()} - {None}
        page = sorted(one for one in known if one is not None and one > after)
        return [await self._of(payment_id) for payment_id in page[:limit]]

    async def check(self, since: datetime, now: datetime) -> Findings:
        found = Findings([], [], len(self._tx.tables.dead_letters))
        recent = {
            line.entry.payment_id for line in self._lines.values() if line.recorded_at >= since
        }
        violations: list[Violation] = []
        unfinished: list[Unfinished] = []
        for payment_id in sorted(one for one in recent if one is not None):
            lines = await self.timeline(payment_id)
            is_quiet = max(line.recorded_at for line in lines) < now - QUIET
            violations += violations_of(await self._of(payment_id), is_quiet=is_quiet)
            if not is_finished([line.entry.event for line in lines]):
                age_s = int((now - lines[0].entry.origin.time).total_seconds())
                unfinished.append(Unfinished(payment_id, age_s))
        violations.sort(key=lambda one: (one.payment_id, one.details))
        unfinished.sort(key=lambda one: (-one.age_s, one.payment_id))
        return Findings(violations[:MOST_FINDINGS], unfinished[:MOST_FINDINGS], found.dead_letters)

    async def _of(self, payment_id: UUID) -> Timeline:
        entries = [line.entry for line in await self.timeline(payment_id)]
        return Timeline(
            payment_id,
            tuple(entry.event for entry in entries),
            tuple(entry.metadata.get("version") for entry in entries),
        )
