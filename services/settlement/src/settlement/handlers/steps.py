"""Steps of instructions: their events, metrics and cases, whichever way a bank answers."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from service_runtime import metrics
from service_runtime.logs import Log
from service_runtime.messages import Cause, Emit, Events, Publication
from settlement.domain import BankResponse, Decision, Instruction
from settlement.domain.reconciliation import (
    SERVICE,
    Case,
    awaits_people,
    cases_of_step,
    close_explained,
    is_ended_by_bank,
)
from settlement.handlers.reconciliation import audit_step
from settlement.store import Instructions

_log = Log("settlement")
_steps = metrics.counter("settlement", "Published steps of settlements.")
_durations = metrics.histogram("payment_settlement_duration", "Seconds from confirmed to settled.")
_late = metrics.counter("late_answers", "Definite responses that contradict an outcome.")


@dataclass(slots=True)
class Steps:
    """The steps of one transaction."""

    now: datetime
    events: list[Emit | Publication] = field(default_factory=list)
    _cases: list[Case] = field(default_factory=list)
    _ended: list[Instruction] = field(default_factory=list)

    def add(self, decision: Decision, cause: Cause) -> None:
        """Note a step: its events, metrics and log lines."""
        observe(decision, self.now)
        self.events += [Emit(event, cause) for event in decision.events]

    def answer(
        self, before: Instruction, decision: Decision, response: BankResponse, cause: Cause
    ) -> None:
        """Note the step after a bank's response, or its silence, with the case that it opens."""
        self.add(decision, cause)
        self._cases += cases_of_step(before, decision, response, self.now)
        self._ended += [decision.state] if is_ended_by_bank(before, decision.state) else []

    async def finish(self, instructions: Instructions) -> Events:
        """Open and close the cases; return all events. The instructions are saved before."""
        opened = await instructions.cases.open(self._cases)
        steps = [*opened, *await _close_cases(self._ended, instructions)]
        return [*self.events, *(audit_step(case, SERVICE) for case in steps)]


async def _close_cases(ended: Sequence[Instruction], instructions: Instructions) -> Sequence[Case]:
    """Close the cases of transfers whose outcome the bank has supplied."""
    closed: list[Case] = []
    for row in ended:
        known = await instructions.cases.about(row.partner, [row.uetr])
        cases = (case for case in known if awaits_people(case))
        closed += [close_explained(case, f"its bank has answered: {row.status}") for case in cases]
    await instructions.cases.save(closed)
    return closed


def observe(decision: Decision, now: datetime) -> None:
    """Count and log a step."""
    if decision.is_late:
        _late.add(1, {"partner": decision.state.partner})
        _log.warning("late_answer", uetr=decision.state.uetr, status=decision.state.status)
    for event in decision.events:
        _steps.add(1, {"status": event.status, "partner": event.partner})
        if event.status == "SETTLED":
            _durations.record((now - event.confirmed_at).total_seconds())
