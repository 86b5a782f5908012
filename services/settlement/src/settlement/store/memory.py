"""The twin: instructions in memory, for tests and simulations."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from payment_schemas.ids import PaymentId
from settlement.domain import FINAL, Instruction
from settlement.store.cases import Cases, MemoryCases
from settlement.store.port import LEAST_VERSION, MAX_UNFINISHED, MAX_VIOLATIONS, Health, New
from settlement.store.rows import TABLE

_TIMES = f"{TABLE}/times"
_UETRS = f"{TABLE}/uetr"


@dataclass(frozen=True, slots=True)
class _Times:
    created_at: datetime
    updated_at: datetime


class MemoryInstructions:
    """Instructions in one transaction of a memory database."""

    def __init__(self, tx: Any) -> None:
        self._tx = tx
        self._rows: dict[PaymentId, Instruction] = tx.own[TABLE]
        self._times: dict[PaymentId, _Times] = tx.own[_TIMES]
        self._uetrs: dict[UUID, PaymentId] = tx.own[_UETRS]

    async def add(self, new: Sequence[New]) -> set[PaymentId]:
        for one in new:
            self._add(one.instruction, one)
        return {
            one.instruction.payment_id
            for one in new
            if self._uetr(one.instruction.payment_id) != one.instruction.uetr
        }

    def _add(self, instruction: Instruction, new: New) -> None:
        name = instruction.payment_id
        if name in self._rows or instruction.uetr in self._uetrs:
            return
        self._uetrs[instruction.uetr] = name
        now = self._tx.clock.now()
        self._rows[name] = instruction
        self._times[name] = _Times(now, now)
        self._tx.schedule(TABLE, name, instruction.due_at, new.trace)

    def _uetr(self, payment_id: PaymentId) -> UUID | None:
        row = self._rows.get(payment_id)
        return row.uetr if row else None

    async def begin(self, instructions: Iterable[Instruction]) -> None:
        for instruction in instructions:
            self._put(instruction)

    async def save(self, instructions: Iterable[Instruction]) -> None:
        for instruction in instructions:
            self._put(instruction)
            self._tx.schedule(TABLE, instruction.payment_id, instruction.due_at)

    def _put(self, instruction: Instruction) -> None:
        name = instruction.payment_id
        before = self._rows[name]
        if before.status in FINAL and instruction.status is not before.status:
            raise ValueError(f"instruction {name}: what is decided does not change")
        if before.version != instruction.version:
            self._times[name] = replace(self._times[name], updated_at=self._tx.clock.now())
        self._rows[name] = instruction

    @property
    def cases(self) -> Cases:
        return MemoryCases(self._tx)

    async def find(
        self, payment_id: UUID | None = None, uetr: UUID | None = None
    ) -> list[dict[str, Any]]:
        found = [row for row in self._rows.values() if payment_id == row.payment_id]
        found += [row for row in self._rows.values() if uetr == row.uetr]
        return [self._shown(row) for row in found]

    async def export(self, after: UUID, limit: int) -> list[dict[str, Any]]:
        behind = sorted(name for name in self._rows if name > after)[:limit]
        columns = ("payment_id", "uetr", "partner", "status", "version", "amount_minor")
        rows = [self._shown(self._rows[name]) for name in behind]
        return [{name: row[name] for name in (*columns, "currency", "updated_at")} for row in rows]

    async def health(self, since: datetime | None = None) -> Health:
        now = self._tx.clock.now()
        changed = [
            row
            for name, row in self._rows.items()
            if since is None or row.due_at or self._times[name].updated_at >= since
        ]
        unfinished = sorted(
            (self._times[name].created_at, name)
            for name, row in self._rows.items()
            if row.due_at is not None
        )
        leases = self._tx.own[f"{TABLE}/lease"].values()
        return Health(
            [_violation(row) for row in changed if _is_early(row)][:MAX_VIOLATIONS],
            [
                {"payment_id": name, "age_s": (now - created_at).total_seconds()}
                for created_at, name in unfinished[:MAX_UNFINISHED]
            ],
            sum(lease.parked is not None for lease in leases),
            len(self._tx.tables.dead_letters),
        )

    def _shown(self, row: Instruction) -> dict[str, Any]:
        times, lease = self._times[row.payment_id], self._tx.own[f"{TABLE}/lease"][row.payment_id]
        return {
            "payment_id": row.payment_id,
            "uetr": row.uetr,
            "transaction_id": row.transaction_id,
            "user_id": row.user_id,
            "partner": row.partner,
            "status": row.status.value,
            "next_step": row.next_step.value,
            "version": row.version,
            "tries": row.tries,
            "amount_minor": row.money.amount_minor,
            "currency": row.money.currency,
            "debtor_account": row.debtor_account,
            "creditor_account": row.creditor_account,
            "reason": row.reason,
            "bank_reference": row.bank_reference,
            "confirmed_at": row.confirmed_at,
            "created_at": times.created_at,
            "updated_at": times.updated_at,
            "sent_at": row.sent_at,
            "unusable_since": row.unusable_since,
            "due_at": row.due_at,
            "parked_at": None if lease.parked is None else times.updated_at,
            "last_error": lease.parked,
        }


def _is_early(row: Instruction) -> bool:
    return row.version < LEAST_VERSION[row.status]


def _violation(row: Instruction) -> dict[str, Any]:
    details = f"{row.status} at version {row.version}"
    return {"invariant": "I4", "payment_id": row.payment_id, "details": details}
