"""What is done with requests, and with instructions whose time has come."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from payment_schemas.events.settlement import SettlementRequested
from service_runtime import metrics
from service_runtime.errors import Rejected
from service_runtime.logs import Log
from service_runtime.messages import Batch, Due, Emit, Events, Received
from settlement.clients import PartnerBank
from settlement.domain import (
    BankResponse,
    Decision,
    Instruction,
    Policy,
    after_answer,
    begin,
    instruct,
)
from settlement.domain import partner_of as route
from settlement.domain.reconciliation import (
    SERVICE,
    Case,
    explained,
    is_answered,
    is_waiting,
    noticed,
)
from settlement.handlers.reconciliation import step_of
from settlement.store import Instructions, New

_log = Log("settlement")
_moved = metrics.counter("settlement", "Steps of settlements that were told.")
_durations = metrics.histogram("payment_settlement_duration", "Confirmed to settled.")
_late = metrics.counter("late_answers", "Definite answers that contradict an outcome.")

Requests = Batch[Received[SettlementRequested]]
DueInstructions = Batch[Due[Instruction], BankResponse]


@dataclass(frozen=True, slots=True)
class Routing:
    """Which partner keeps which accounts."""

    by_prefix: dict[str, str]
    otherwise: str

    def partner_of(self, event: SettlementRequested) -> str:
        """Return the partner who keeps the payee's account."""
        return route(event.creditor_account, self.by_prefix, self.otherwise)


async def on_settlement_requested(
    batch: Requests, instructions: Instructions, routing: Routing
) -> Events:
    """Keep an instruction for each confirmed payment, due at once. Emits nothing."""
    new = []
    for item in batch:
        partner = routing.partner_of(item.event)
        new.append(New(instruct(item.event, partner, batch.now), item.cause.trace))
    if await instructions.add(new):
        raise Rejected("uetr: belongs to another payment")
    return ()


async def on_due_instructions_claimed(batch: DueInstructions, instructions: Instructions) -> None:
    """Note, before the bank is called, which transfers may have reached it."""
    begun = [(item.row, begin(item.row, batch.now)) for item in batch]
    if changed := [after for before, after in begun if after is not before]:
        await instructions.begin(changed)


async def send(batch: DueInstructions, bank: PartnerBank) -> Mapping[UUID, BankResponse]:
    """Send what is due to one partner."""
    answers = await bank.send([item.row for item in batch])
    return {item.cause.id: answers[item.row.uetr] for item in batch}


async def send_once(batch: DueInstructions, bank: PartnerBank) -> Mapping[UUID, BankResponse]:
    """Send what is due to a bank that books each message; ask about what it may have had before.

    What is due for sending may have been sent when the partner was still taken for idempotent.
    """
    new = [item.row for item in batch if item.row.sent_at is None]
    known = [item.row for item in batch if item.row.sent_at is not None]
    answers = {**(await bank.send(new) if new else {})}
    answers |= await bank.enquire(known) if known else {}
    return {item.cause.id: answers[item.row.uetr] for item in batch}


async def enquire(batch: DueInstructions, bank: PartnerBank) -> Mapping[UUID, BankResponse]:
    """Ask one partner how transfers stand."""
    answers = await bank.enquire([item.row for item in batch])
    return {item.cause.id: answers[item.row.uetr] for item in batch}


async def on_due_instructions(
    batch: DueInstructions, instructions: Instructions, policy: Policy
) -> Events:
    """Decide what the bank's answers make of the instructions, and tell of each step."""
    events: list[Emit] = []
    changed: list[Instruction] = []
    cases: list[Case] = []
    answered: list[Instruction] = []
    for item in batch:
        answer = batch.lookups[item.cause.id]
        decision = after_answer(item.row, answer, batch.now, policy)
        _observe(decision, batch)
        changed.append(decision.state)
        events.extend(Emit(event, item.cause) for event in decision.events)
        cases += noticed(item.row, decision, answer, batch.now)
        answered += [decision.state] if is_answered(item.row, decision.state) else []
    await instructions.save(changed)
    steps = [*await instructions.cases.open(cases), *await _closed(answered, instructions)]
    return [*events, *(step_of(case, SERVICE) for case in steps)]


async def _closed(answered: Sequence[Instruction], instructions: Instructions) -> Sequence[Case]:
    """Close the cases of transfers that waited for a person, and whose bank has answered."""
    closed: list[Case] = []
    for one in answered:
        known = await instructions.cases.about(one.partner, [one.uetr])
        waiting = (case for case in known if is_waiting(case))
        closed += [explained(case, f"its bank has answered: {one.status}") for case in waiting]
    await instructions.cases.save(closed)
    return closed


def _observe(decision: Decision, batch: DueInstructions) -> None:
    if decision.is_late:
        _late.add(1, {"partner": decision.state.partner})
        _log.warning("late_answer", uetr=decision.state.uetr, status=decision.state.status)
    for event in decision.events:
        _moved.add(1, {"status": event.status, "partner": event.partner})
        if event.status == "SETTLED":
            _durations.record((batch.now - event.confirmed_at).total_seconds())
