"""The memory twin of the instructions, for tests and simulations."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from payment_schemas.ids import PaymentId
from service_runtime.work_table import hand_over
from settlement.domain import FINAL, Instruction
from settlement.store.cases import Cases, MemoryCases
from settlement.store.partners import MemoryPartners, Partners
from settlement.store.port import Added, Locked, NewInstruction, handed
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

    async def add(self, new: Sequence[NewInstruction]) -> Added:
        inserted = [item.instruction.payment_id for item in new if self._add(item)]
        hand_over(self._tx, inserted, [handed(item) for item in new])
        asked = [item.instruction for item in new]
        refused = {row.payment_id for row in asked if self._uetr(row.payment_id) != row.uetr}
        return Added(set(inserted), refused)

    def _add(self, new: NewInstruction) -> bool:
        instruction = new.stored
        key = instruction.payment_id
        if key in self._rows or instruction.uetr in self._uetrs:
            return False
        self._uetrs[instruction.uetr] = key
        now = self._tx.clock.now()
        self._rows[key] = instruction
        self._times[key] = _Times(now, now)
        self._tx.schedule(TABLE, key, instruction.due_at, new.trace)
        if new.taker is not None:
            self._tx.lease_added(TABLE, key)
        return True

    def _uetr(self, payment_id: PaymentId) -> UUID | None:
        row = self._rows.get(payment_id)
        return row.uetr if row else None

    async def begin(self, instructions: Iterable[Instruction]) -> None:
        for instruction in instructions:
            self._put(instruction)

    async def save(
        self, instructions: Iterable[Instruction], epochs: Mapping[UUID, int]
    ) -> set[PaymentId]:
        mine: set[PaymentId] = self._tx.mine(TABLE, epochs)
        for instruction in instructions:
            if instruction.payment_id in mine:
                self._put(instruction)
                self._tx.schedule(TABLE, instruction.payment_id, instruction.due_at)
        return mine

    async def save_reported(self, instructions: Iterable[Instruction]) -> None:
        for instruction in instructions:
            self._tx.overtake(TABLE, instruction.payment_id)
            self._put(instruction)
            self._tx.schedule(TABLE, instruction.payment_id, instruction.due_at)

    async def lock(self, uetrs: Iterable[UUID]) -> dict[UUID, Locked]:
        leases = self._tx.own[f"{TABLE}/lease"]
        keys = {uetr: self._uetrs[uetr] for uetr in uetrs if uetr in self._uetrs}
        return {uetr: Locked(self._rows[key], leases[key].trace) for uetr, key in keys.items()}

    def _put(self, instruction: Instruction) -> None:
        key = instruction.payment_id
        before = self._rows[key]
        if before.status in FINAL and instruction.status is not before.status:
            raise ValueError(f"instruction {key}: what is decided does not change")
        if before.version != instruction.version:
            self._times[key] = replace(self._times[key], updated_at=self._tx.clock.now())
        self._rows[key] = instruction

    @property
    def partners(self) -> Partners:
        return MemoryPartners(self._tx)

    @property
    def cases(self) -> Cases:
        return MemoryCases(self._tx)
