"""Resolving cases: people say what becomes of a break, two of them where money moves."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any
from uuid import UUID

from service_runtime.clock import Clock
from service_runtime.messages import Cause, Emit, ProducerRecord
from settlement.domain import Instruction, begin, conclude
from settlement.domain.reconciliation import SERVICE, Case, Proposal, Refused, outcome_of, resolve
from settlement.domain.statements import is_moved
from settlement.handlers.reconciliation import RunInTransaction, told_of
from settlement.store import Cases

Resolved = Case | Refused | None
"""The case as it is now, why it stays as it was, or that there is none."""


@dataclass(frozen=True, slots=True)
class Resolutions:
    """Decides cases, each in one transaction."""

    store: Callable[[Any], Cases]
    run_in_transaction: RunInTransaction
    clock: Clock

    async def resolve(self, case_id: UUID, wanted: Proposal) -> Resolved:
        """Propose or confirm what becomes of a case. Raises Unavailable: nothing has happened."""
        found: list[Resolved] = []
        await self.run_in_transaction(partial(self._resolve, case_id, wanted, found))
        return found[-1]

    async def _resolve(
        self, case_id: UUID, wanted: Proposal, found: list[Resolved], tx: Any
    ) -> Sequence[ProducerRecord]:
        cases = self.store(tx)
        # First the transfer, taken from any worker: from here on nobody else decides what becomes
        # of it. Workers, too, lock the transfer first and its cases after it.
        payment_id = await cases.payment_of(case_id)
        ours = await cases.take(payment_id) if payment_id else None
        case = await cases.lock(case_id)
        if case is None:
            found.append(None)
            return ()
        booked = await cases.booked(case.partner, [case.uetr])
        decided = resolve(case, wanted, ours, is_booked=is_moved(booked.get(case.uetr, ())))
        found.append(decided)
        if isinstance(decided, Refused):
            return ()
        await cases.save([decided])
        moved = await self._move(cases, decided, ours)
        return [*moved, *told_of([decided], wanted.actor, self.clock.now())]

    async def _move(
        self, cases: Cases, case: Case, ours: Instruction | None
    ) -> Sequence[ProducerRecord]:
        """Do to the instruction what the bank's own word would have done."""
        word, now = outcome_of(case), self.clock.now()
        if word is None or ours is None:
            return ()
        decision = conclude(begin(ours, now), word)
        await cases.decide(decision.state)
        # Not an epoch's number: no step of a worker shares this id.
        cause = Cause(ours.payment_id, discriminator=f"case-{decision.state.version}")
        return [Emit(event, cause).outgoing(SERVICE, now) for event in decision.events]
