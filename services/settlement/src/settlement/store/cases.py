"""Cases, and what a reconciliation asks of the instructions: the port, PostgreSQL and the twin."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any, Protocol
from uuid import UUID

from service_runtime.postgres import PostgresTransaction, json_rows
from settlement.domain import Instruction, Status
from settlement.domain.reconciliation import Case, CaseStatus, Finding, Resolution
from settlement.store.port import TABLE
from settlement.store.rows import instruction_of

CASES = "reconciliation_case"
BOOKED = f"{TABLE}/booked"


@dataclass(frozen=True, slots=True)
class Settled:
    """Transfers of one partner that were settled in a span of time and stand on no statement."""

    partner: str
    since: datetime
    until: datetime


class Cases(Protocol):
    """The cases, within one transaction."""

    async def open(self, cases: Sequence[Case]) -> list[Case]:
        """Add cases; return those that were not there yet, in whatever state."""
        ...

    async def lock(self, case_id: UUID) -> Case | None:
        """Return a case, and keep others from changing it."""
        ...

    async def save(self, case: Case) -> None:
        """Save what was decided about a case."""
        ...

    async def find(
        self, case_id: UUID | None = None, status: CaseStatus | None = None, limit: int = 100
    ) -> list[dict[str, Any]]:
        """Return one case, or the oldest of a status (None: unresolved), as people see them."""
        ...

    async def counts(self) -> dict[str, int]:
        """Count unresolved cases by kind."""
        ...

    async def known(self, uetrs: Iterable[UUID]) -> dict[UUID, Instruction]:
        """Return the instructions of these UETRs, whichever partner's."""
        ...

    async def book(self, uetrs: Iterable[UUID], day: date) -> None:
        """Note on which day's statement transfers stand; the first one counts."""
        ...

    async def unbooked(self, settled: Settled, after: UUID, limit: int) -> list[Instruction]:
        """Return what is settled and on no statement, in the order of its ids, behind `after`."""
        ...

    async def take(self, payment_id: UUID) -> Instruction | None:
        """Return an instruction, locked; a worker that holds it writes nothing any more."""
        ...

    async def decide(self, instruction: Instruction) -> None:
        """Save the outcome of an instruction that was taken."""
        ...


class PostgresCases:
    """Cases in PostgreSQL."""

    def __init__(self, tx: PostgresTransaction) -> None:
        self._tx = tx

    async def open(self, cases: Sequence[Case]) -> list[Case]:
        by_id = {str(case.id): case for case in cases}
        rows = [_row(case) for _, case in sorted(by_id.items())]
        added = await self._tx.rows(
            """insert into reconciliation_case (id, kind, partner, uetr, payment_id, day, details)
               select id, kind, partner, uetr, payment_id, day, details
               from json_populate_recordset(null::reconciliation_case, %(rows)s::json)
               order by id on conflict do nothing returning id""",
            rows=json_rows(rows),
        )
        return [by_id[str(row["id"])] for row in added]

    async def lock(self, case_id: UUID) -> Case | None:
        rows = await self._tx.rows(
            "select * from reconciliation_case where id = %(id)s for update", id=case_id
        )
        return _case(rows[0]) if rows else None

    async def save(self, case: Case) -> None:
        await self._tx.run(
            """update reconciliation_case
               set status = %(status)s, resolution = %(resolution)s, note = %(note)s,
                   proposed_by = %(proposed_by)s, resolved_by = %(resolved_by)s,
                   version = %(version)s, updated_at = clock_timestamp()
               where id = %(id)s""",
            **_row(case),
        )

    async def find(
        self, case_id: UUID | None = None, status: CaseStatus | None = None, limit: int = 100
    ) -> list[dict[str, Any]]:
        if case_id is not None:
            statement = "select * from reconciliation_case where id = %(id)s"
            return await self._tx.rows(statement, id=case_id)
        if status is None:
            return await self._tx.rows(
                """select * from reconciliation_case where status <> 'RESOLVED'
                   order by opened_at, id limit %(limit)s""",
                limit=limit,
            )
        return await self._tx.rows(
            """select * from reconciliation_case where status = %(status)s
               order by opened_at, id limit %(limit)s""",
            status=status,
            limit=limit,
        )

    async def counts(self) -> dict[str, int]:
        rows = await self._tx.rows(
            """select kind, count(*) as cases from reconciliation_case
               where status <> 'RESOLVED' group by kind"""
        )
        return {row["kind"]: row["cases"] for row in rows}

    async def known(self, uetrs: Iterable[UUID]) -> dict[UUID, Instruction]:
        rows = await self._tx.rows(
            """select instruction.* from instruction
               join json_array_elements_text(%(uetrs)s::json) as asked (uetr)
                   on instruction.uetr = asked.uetr::uuid""",
            uetrs=json_rows(list(uetrs)),
        )
        return {row["uetr"]: instruction_of(row) for row in rows}

    async def book(self, uetrs: Iterable[UUID], day: date) -> None:
        await self._tx.run(
            """update instruction set booked_on = %(day)s
               from (select value::uuid as uetr from json_array_elements_text(%(uetrs)s::json)
                     order by value) as asked
               where instruction.uetr = asked.uetr and booked_on is null""",
            day=day,
            uetrs=json_rows(list(uetrs)),
        )

    async def unbooked(self, settled: Settled, after: UUID, limit: int) -> list[Instruction]:
        rows = await self._tx.rows(
            """select * from instruction
               where partner = %(partner)s and status = 'SETTLED' and booked_on is null
                 and id > %(after)s and updated_at >= %(since)s and updated_at < %(until)s
               order by id limit %(limit)s""",
            partner=settled.partner,
            since=settled.since,
            until=settled.until,
            after=after,
            limit=limit,
        )
        return [instruction_of(row) for row in rows]

    async def take(self, payment_id: UUID) -> Instruction | None:
        rows = await self._tx.rows(
            """update instruction set epoch = epoch + 1, lease_until = null
               where id = %(id)s returning *""",
            id=payment_id,
        )
        return instruction_of(rows[0]) if rows else None

    async def decide(self, instruction: Instruction) -> None:
        await self._tx.run(
            """update instruction
               set status = %(status)s, version = %(version)s, tries = %(tries)s,
                   reason = %(reason)s, due_at = %(due_at)s, updated_at = clock_timestamp()
               where id = %(id)s""",
            id=instruction.payment_id,
            status=instruction.status,
            version=instruction.version,
            tries=instruction.tries,
            reason=instruction.reason,
            due_at=instruction.due_at,
        )


def _row(case: Case) -> dict[str, Any]:
    return {
        "id": case.id,
        "kind": case.kind,
        "partner": case.partner,
        "uetr": case.uetr,
        "payment_id": case.payment_id,
        "day": case.day,
        "details": case.details,
        "status": case.status,
        "resolution": case.resolution,
        "note": case.note,
        "proposed_by": case.proposed_by,
        "resolved_by": case.resolved_by,
        "version": case.version,
    }


def _case(row: dict[str, Any]) -> Case:
    return Case(
        kind=Finding(row["kind"]),
        partner=row["partner"],
        uetr=row["uetr"],
        day=row["day"],
        details=row["details"],
        payment_id=row["payment_id"],
        status=CaseStatus(row["status"]),
        resolution=Resolution(row["resolution"]) if row["resolution"] else None,
        note=row["note"],
        proposed_by=row["proposed_by"],
        resolved_by=row["resolved_by"],
        version=row["version"],
    )


class MemoryCases:
    """The twin."""

    def __init__(self, tx: Any) -> None:
        self._tx = tx
        self._cases: dict[UUID, Case] = tx.own[CASES]
        self._times: dict[UUID, tuple[datetime, datetime]] = tx.own[f"{CASES}/times"]
        self._rows: dict[UUID, Instruction] = tx.own[TABLE]
        self._booked: dict[UUID, date] = tx.own[BOOKED]

    async def open(self, cases: Sequence[Case]) -> list[Case]:
        new = [case for case in {case.id: case for case in cases}.values() if self._is_new(case)]
        now = self._tx.clock.now()
        self._cases.update({case.id: case for case in new})
        self._times.update({case.id: (now, now) for case in new})
        return new

    def _is_new(self, case: Case) -> bool:
        return case.id not in self._cases

    async def lock(self, case_id: UUID) -> Case | None:
        return self._cases.get(case_id)

    async def save(self, case: Case) -> None:
        if self._cases[case.id].status is CaseStatus.RESOLVED:
            raise ValueError(f"case {case.id}: what is resolved does not change")
        self._cases[case.id] = case
        self._times[case.id] = (self._times[case.id][0], self._tx.clock.now())

    async def find(
        self, case_id: UUID | None = None, status: CaseStatus | None = None, limit: int = 100
    ) -> list[dict[str, Any]]:
        if case_id is not None:
            return [self._shown(self._cases[case_id])] if case_id in self._cases else []
        found = [case for case in self._cases.values() if _is_wanted(case, status)]
        found.sort(key=lambda case: (self._times[case.id][0], case.id))
        return [self._shown(case) for case in found[:limit]]

    def _shown(self, case: Case) -> dict[str, Any]:
        opened_at, updated_at = self._times[case.id]
        return _row(case) | {"opened_at": opened_at, "updated_at": updated_at}

    async def counts(self) -> dict[str, int]:
        kinds = [str(one.kind) for one in self._cases.values() if _is_wanted(one, None)]
        return {kind: kinds.count(kind) for kind in kinds}

    async def known(self, uetrs: Iterable[UUID]) -> dict[UUID, Instruction]:
        names: dict[UUID, UUID] = self._tx.own[f"{TABLE}/uetr"]
        return {uetr: self._rows[names[uetr]] for uetr in uetrs if uetr in names}

    async def book(self, uetrs: Iterable[UUID], day: date) -> None:
        for uetr in await self.known(uetrs):
            self._booked.setdefault(uetr, day)

    async def unbooked(self, settled: Settled, after: UUID, limit: int) -> list[Instruction]:
        times = self._tx.own[f"{TABLE}/times"]
        found = [
            row
            for name, row in sorted(self._rows.items())
            if name > after
            and row.partner == settled.partner
            and row.status is Status.SETTLED
            and row.uetr not in self._booked
            and settled.since <= times[name].updated_at < settled.until
        ]
        return found[:limit]

    async def take(self, payment_id: UUID) -> Instruction | None:
        row = self._rows.get(payment_id)
        if row is not None:
            self._tx.overtake(TABLE, payment_id)
        return row

    async def decide(self, instruction: Instruction) -> None:
        name, times = instruction.payment_id, self._tx.own[f"{TABLE}/times"]
        self._rows[name] = instruction
        times[name] = replace(times[name], updated_at=self._tx.clock.now())
        self._tx.schedule(TABLE, name, instruction.due_at)


def _is_wanted(case: Case, status: CaseStatus | None) -> bool:
    return case.status is status if status else case.status is not CaseStatus.RESOLVED
