"""Resolving cases: people say what becomes of a break, two of them where money moves."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any
from uuid import UUID

from service_runtime import metrics
from service_runtime.clock import Clock
from service_runtime.logs import Log
from service_runtime.messages import Cause, Emit, Outgoing
from settlement.domain import Instruction, Policy, after_answer
from settlement.domain.reconciliation import Case, Proposal, Refused, resolve, word_of
from settlement.handlers.reconciliation import SERVICE, Keep, told_of
from settlement.store import Cases

_log = Log("cases")
_resolved = metrics.counter("reconciliation_cases_moved", "Proposals and resolutions, by kind.")

Resolved = Case | Refused | None
"""The case as it is now, why it stays as it was, or that there is none."""


@dataclass(frozen=True, slots=True)
class Resolutions:
    """Decides cases, each in one transaction."""

    store: Callable[[Any], Cases]
    keep: Keep
    clock: Clock

    async def resolve(self, case_id: UUID, wanted: Proposal) -> Resolved:
        """Propose or confirm what becomes of a case. Raises Unavailable: nothing has happened."""
        found: list[Resolved] = []
        await self.keep(partial(self._resolve, case_id, wanted, found))
        return found[-1]

    async def _resolve(
        self, case_id: UUID, wanted: Proposal, found: list[Resolved], tx: Any
    ) -> Sequence[Outgoing]:
        cases = self.store(tx)
        case = await cases.lock(case_id)
        if case is None:
            found.append(None)
            return ()
        # Taken from any worker: from here on nobody else decides what becomes of it.
        ours = await cases.take(case.payment_id) if case.payment_id else None
        decided = resolve(case, wanted, ours)
        found.append(decided)
        if isinstance(decided, Refused):
            return ()
        await cases.save(decided)
        _resolved.add(1, {"kind": str(decided.kind), "status": str(decided.status)})
        _log.info("case_moved", kind=decided.kind, status=decided.status, uetr=decided.uetr)
        moved = await self._move(cases, decided, ours)
        return [*moved, *told_of([decided], wanted.actor, self.clock.now())]

    async def _move(self, cases: Cases, case: Case, ours: Instruction | None) -> Sequence[Outgoing]:
        """Do to the instruction what the bank's own word would have done."""
        word, now = word_of(case), self.clock.now()
        if word is None or ours is None:
            return ()
        decision = after_answer(ours, word, now, Policy())
        await cases.decide(decision.state)
        # Not an epoch's number: no step of a worker shares this id.
        cause = Cause(ours.payment_id, discriminator=f"case-{decision.state.version}")
        return [Emit(event, cause).outgoing(SERVICE, now) for event in decision.events]
