"""Resolution of cases by people; a resolution that moves money needs two people."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any
from uuid import UUID

from service_runtime.clock import Clock
from service_runtime.messages import Cause, Emit, ProducerRecord
from settlement.domain import Instruction, begin, conclude
from settlement.domain.reconciliation import SERVICE, Case, Proposal, Refused, outcome_of, resolve
from settlement.domain.statements import has_moved_money
from settlement.handlers.reconciliation import RunInTransaction, audit_steps
from settlement.store import Cases

Resolved = Case | Refused | None
"""The case after its step, the reason of a refusal, or None for an unknown case."""


@dataclass(frozen=True, slots=True)
class Resolutions:
    """Resolves cases; each step is one transaction."""

    store: Callable[[Any], Cases]
    run_in_transaction: RunInTransaction
    clock: Clock

    async def resolve(self, case_id: UUID, wanted: Proposal) -> Resolved:
        """Propose or confirm a resolution. Raises Unavailable; then nothing was committed."""
        found: list[Resolved] = []
        await self.run_in_transaction(partial(self._resolve, case_id, wanted, found))
        return found[-1]

    async def _resolve(
        self, case_id: UUID, wanted: Proposal, found: list[Resolved], tx: Any
    ) -> Sequence[ProducerRecord]:
        cases = self.store(tx)
        # Preempt the transfer first: workers, too, lock the transfer before its cases, and a worker
        # that holds its lease can no longer write.
        payment_id = await cases.payment_of(case_id)
        instruction = await cases.preempt(payment_id) if payment_id else None
        case = await cases.lock(case_id)
        if case is None:
            found.append(None)
            return ()
        booked = await cases.booked(case.partner, [case.uetr])
        is_booked = has_moved_money(booked.get(case.uetr, ()))
        decided = resolve(case, wanted, instruction, is_booked=is_booked)
        found.append(decided)
        if isinstance(decided, Refused):
            return ()
        await cases.save([decided])
        moved = await self._move(cases, decided, instruction)
        return [*moved, *audit_steps([decided], wanted.actor, self.clock.now())]

    async def _move(
        self, cases: Cases, case: Case, instruction: Instruction | None
    ) -> Sequence[ProducerRecord]:
        """Apply the resolution to the instruction like a response of the bank."""
        response, now = outcome_of(case), self.clock.now()
        if response is None or instruction is None:
            return ()
        decision = conclude(begin(instruction, now), response)
        await cases.save_outcome(decision.state)
        # No epoch has this discriminator, so no step of a worker has the same event id.
        cause = Cause(instruction.payment_id, discriminator=f"case-{decision.state.version}")
        return [Emit(event, cause).outgoing(SERVICE, now) for event in decision.events]
