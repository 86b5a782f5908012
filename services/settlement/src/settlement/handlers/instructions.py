"""Settlement requests, and instructions that are due."""

from collections import deque
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from payment_schemas.events.settlement import SettlementRequested
from payment_schemas.ids import Uetr
from service_runtime import metrics
from service_runtime.clock import Clock
from service_runtime.errors import Rejected
from service_runtime.logs import Log
from service_runtime.messages import Batch, Due, Emit, Events, Received
from settlement.clients import Answers, PartnerBank
from settlement.domain import (
    BankResponse,
    Decision,
    Instruction,
    Kind,
    Policy,
    after_answer,
    begin,
    instruct,
    messages_of,
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
Ask = Callable[[Sequence[Instruction]], Awaitable[Answers]]

START_WITHIN = timedelta(seconds=6)
"""Of a claim: a message that starts later might end after its lease of 10 s."""


@dataclass(frozen=True, slots=True)
class Routing:
    """Which partner holds which accounts."""

    by_prefix: dict[str, str]
    otherwise: str

    def partner_of(self, event: SettlementRequested) -> str:
        """Return the partner that holds the payee's account."""
        return route(event.creditor_account, self.by_prefix, self.otherwise)


async def on_settlement_requested(
    batch: Requests, instructions: Instructions, routing: Routing
) -> Events:
    """Store an instruction for each confirmed payment, due at once. Emits nothing."""
    new = []
    for item in batch:
        partner = routing.partner_of(item.event)
        new.append(New(instruct(item.event, partner, batch.now), item.cause.trace))
    if await instructions.add(new):
        raise Rejected("uetr: belongs to another payment")
    return ()


async def on_due_instructions_claimed(batch: DueInstructions, instructions: Instructions) -> None:
    """Save, before the bank is called, which transfers may reach it."""
    begun = [(item.row, begin(item.row, batch.now)) for item in batch]
    if changed := [after for before, after in begun if after is not before]:
        await instructions.begin(changed)


async def send(
    batch: DueInstructions, bank: PartnerBank, clock: Clock
) -> Mapping[UUID, BankResponse]:
    """Send the due transfers of one partner."""
    call = _Call(bank, clock, batch.now + START_WITHIN)
    return _by_cause(batch, await call.send([item.row for item in batch]))


async def send_once(
    batch: DueInstructions, bank: PartnerBank, clock: Clock
) -> Mapping[UUID, BankResponse]:
    """Send to a bank that books every message; enquire about transfers that were sent before.

    A row may have been sent before when the partner's profile still said that it is idempotent.
    """
    call = _Call(bank, clock, batch.now + START_WITHIN)
    answers = await call.send([item.row for item in batch if item.row.sent_at is None])
    sent_before = [item.row for item in batch if item.row.sent_at is not None]
    return _by_cause(batch, answers | await call.enquire(sent_before))


async def enquire(
    batch: DueInstructions, bank: PartnerBank, clock: Clock
) -> Mapping[UUID, BankResponse]:
    """Enquire about transfers at one partner."""
    call = _Call(bank, clock, batch.now + START_WITHIN)
    return _by_cause(batch, await call.enquire([item.row for item in batch]))


def _by_cause(batch: DueInstructions, answers: Answers) -> Mapping[UUID, BankResponse]:
    return {item.cause.id: answers[item.row.uetr] for item in batch}


@dataclass(frozen=True, slots=True)
class _Call:
    """The messages of one claim. A message that the bank cannot take is repeated in halves.

    Breadth first: good halves follow bad ones, so that the breaker stays closed. A transfer that is
    not reached in time counts as not sent.
    """

    bank: PartnerBank
    clock: Clock
    until: datetime

    async def send(self, rows: Sequence[Instruction]) -> dict[Uetr, BankResponse]:
        # Not after a server error: the bank may have booked, so it is enquired about first.
        return await self._in_halves(self.bank.send, messages_of(rows), {Kind.REFUSED})

    async def enquire(self, rows: Sequence[Instruction]) -> dict[Uetr, BankResponse]:
        halved = {Kind.REFUSED, Kind.FAILED}
        return await self._in_halves(self.bank.enquire, [rows] if rows else [], halved)

    async def _in_halves(
        self, ask: Ask, messages: Iterable[Sequence[Instruction]], halved: Collection[Kind]
    ) -> dict[Uetr, BankResponse]:
        waiting, answers = deque(messages), dict[Uetr, BankResponse]()
        while waiting and self.clock.now() < self.until:
            rows = waiting.popleft()
            answers |= await ask(rows)
            middle = len(rows) // 2
            if middle and all(answers[row.uetr].kind in halved for row in rows):
                waiting += [rows[:middle], rows[middle:]]
        not_sent = BankResponse(Kind.NOT_ASKED)
        return answers | {row.uetr: not_sent for rows in waiting for row in rows}


async def on_due_instructions(
    batch: DueInstructions, instructions: Instructions, policy: Policy
) -> Events:
    """Apply the bank's answers to the instructions and emit each step."""
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
    """Close the cases of transfers that waited for a person and now have the bank's answer."""
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
