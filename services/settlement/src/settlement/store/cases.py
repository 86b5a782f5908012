"""Stores of cases: the port, PostgreSQL and the memory twin."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

from service_runtime.postgres import json_rows
from settlement.domain import Instruction
from settlement.domain.reconciliation import Case, CaseStatus, Resolution
from settlement.domain.statements import Finding
from settlement.store.rows import TABLE, instruction_of
from settlement.store.statements import MemoryStatements, PostgresStatements, Statements

CASES = "reconciliation_case"


class Cases(Statements, Protocol):
    """The cases and their statements, within one transaction."""

    async def open(self, cases: Sequence[Case]) -> list[Case]:
        """Add cases; return only the new ones."""
        ...

    async def about(self, partner: str, uetrs: Iterable[UUID]) -> list[Case]:
        """Return and lock all cases of a partner about these UETRs."""
        ...

    async def lock(self, case_id: UUID) -> Case | None:
        """Return a case and lock it."""
        ...

    async def save(self, cases: Sequence[Case]) -> None:
        """Save the status and the resolution of cases."""
        ...

    async def payment_of(self, case_id: UUID) -> UUID | None:
        """Return the payment of a case; None if the case is unknown or has no payment."""
        ...

    async def find(
        self, case_id: UUID | None = None, status: CaseStatus | None = None, limit: int = 100
    ) -> list[dict[str, Any]]:
        """Return one case, or the oldest of a status (None: unresolved), as rows."""
        ...

    async def counts(self) -> dict[str, int]:
        """Count unresolved cases by kind."""
        ...

    async def preempt(self, payment_id: UUID) -> Instruction | None:
        """Return and lock an instruction; end the lease of a worker that holds it."""
        ...

    async def save_outcome(self, instruction: Instruction) -> None:
        """Save the outcome of a preempted instruction."""
        ...


class PostgresCases(PostgresStatements):
    """Cases in PostgreSQL."""

    async def open(self, cases: Sequence[Case]) -> list[Case]:
        if not cases:
            return []
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

    async def about(self, partner: str, uetrs: Iterable[UUID]) -> list[Case]:
        rows = await self._tx.rows(
            """select found.* from json_array_elements_text(%(uetrs)s::json) as asked (uetr)
               cross join lateral (
                   select * from reconciliation_case
                   where uetr = asked.uetr::uuid and partner = %(partner)s
                   offset 0 for update) as found""",
            uetrs=json_rows(sorted(set(uetrs))),
            partner=partner,
        )
        return [_case(row) for row in rows]

    async def lock(self, case_id: UUID) -> Case | None:
        rows = await self._tx.rows(
            "select * from reconciliation_case where id = %(id)s for update", id=case_id
        )
        return _case(rows[0]) if rows else None

    async def save(self, cases: Sequence[Case]) -> None:
        if not cases:
            return
        await self._tx.run(
            """update reconciliation_case as old
               set status = new.status, resolution = new.resolution, note = new.note,
                   proposed_by = new.proposed_by, resolved_by = new.resolved_by,
                   version = new.version, updated_at = clock_timestamp()
               from json_to_recordset(%(rows)s::json) as new
                   (id uuid, status text, resolution text, note text, proposed_by text,
                    resolved_by text, version int)
               where old.id = new.id""",
            rows=json_rows([_row(case) for case in cases]),
        )

    async def payment_of(self, case_id: UUID) -> UUID | None:
        statement = "select payment_id from reconciliation_case where id = %(id)s"
        rows = await self._tx.rows(statement, id=case_id)
        return rows[0]["payment_id"] if rows else None

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

    async def unresolved(self, uetrs: Sequence[UUID]) -> list[dict[str, Any]]:
        """Return the unresolved cases about transfers."""
        return await self._tx.rows(
            """select * from reconciliation_case
               where uetr = any(%(uetrs)s) and status <> 'RESOLVED' order by opened_at, id""",
            uetrs=list(uetrs),
        )

    async def counts(self) -> dict[str, int]:
        rows = await self._tx.rows(
            """select kind, count(*) as cases from reconciliation_case
               where status <> 'RESOLVED' group by kind"""
        )
        return {row["kind"]: row["cases"] for row in rows}

    async def preempt(self, payment_id: UUID) -> Instruction | None:
        rows = await self._tx.rows(
            """update instruction set epoch = epoch + 1, lease_until = null
               where id = %(id)s returning *""",
            id=payment_id,
        )
        return instruction_of(rows[0]) if rows else None

    async def save_outcome(self, instruction: Instruction) -> None:
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
        id=row["id"],
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


class MemoryCases(MemoryStatements):
    """The memory twin of the cases."""

    def __init__(self, tx: Any) -> None:
        super().__init__(tx)
        self._cases: dict[UUID, Case] = tx.own[CASES]
        self._times: dict[UUID, tuple[datetime, datetime]] = tx.own[f"{CASES}/times"]

    async def open(self, cases: Sequence[Case]) -> list[Case]:
        new = [case for case in {case.id: case for case in cases}.values() if self._is_new(case)]
        now = self._tx.clock.now()
        self._cases.update({case.id: case for case in new})
        self._times.update({case.id: (now, now) for case in new})
        return new

    def _is_new(self, case: Case) -> bool:
        return case.id not in self._cases

    async def about(self, partner: str, uetrs: Iterable[UUID]) -> list[Case]:
        wanted = set(uetrs)
        cases = self._cases.values()
        return [case for case in cases if case.partner == partner and case.uetr in wanted]

    async def payment_of(self, case_id: UUID) -> UUID | None:
        case = self._cases.get(case_id)
        return case.payment_id if case else None

    async def lock(self, case_id: UUID) -> Case | None:
        return self._cases.get(case_id)

    async def save(self, cases: Sequence[Case]) -> None:
        for case in cases:
            if self._cases[case.id].status is CaseStatus.RESOLVED:
                raise ValueError(f"case {case.id}: what is resolved does not change")
            self._cases[case.id] = case
            self._times[case.id] = (self._times[case.id][0], self._tx.clock.now())

    async def find(
        self, case_id: UUID | None = None, status: CaseStatus | None = None, limit: int = 100
    ) -> list[dict[str, Any]]:
        if case_id is not None:
            return [self._shown(self._cases[case_id])] if case_id in self._cases else []
        found = [case for case in self._cases.values() if _matches(case, status)]
        found.sort(key=lambda case: (self._times[case.id][0], case.id))
        return [self._shown(case) for case in found[:limit]]

    def _shown(self, case: Case) -> dict[str, Any]:
        opened_at, updated_at = self._times[case.id]
        return _row(case) | {"opened_at": opened_at, "updated_at": updated_at}

    async def counts(self) -> dict[str, int]:
        kinds = [str(case.kind) for case in self._cases.values() if _matches(case, None)]
        return {kind: kinds.count(kind) for kind in kinds}

    async def preempt(self, payment_id: UUID) -> Instruction | None:
        row = self._rows.get(payment_id)
        if row is not None:
            self._tx.overtake(TABLE, payment_id)
        return row

    async def save_outcome(self, instruction: Instruction) -> None:
        key, times = instruction.payment_id, self._tx.own[f"{TABLE}/times"]
        self._rows[key] = instruction
        times[key] = replace(times[key], updated_at=self._tx.clock.now())
        self._tx.schedule(TABLE, key, instruction.due_at)


def _matches(case: Case, status: CaseStatus | None) -> bool:
    return case.status is status if status else case.status is not CaseStatus.RESOLVED
