"""Handlers of settlement requests and due instructions."""

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
from settlement.clients import PartnerBank, Responses
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
    awaits_people,
    cases_of_step,
    close_explained,
    is_ended_by_bank,
)
from settlement.handlers.reconciliation import audit_step
from settlement.store import Instructions, NewInstruction

_log = Log("settlement")
_steps = metrics.counter("settlement", "Published steps of settlements.")
_durations = metrics.histogram("payment_settlement_duration", "Seconds from confirmed to settled.")
_late = metrics.counter("late_answers", "Definite responses that contradict an outcome.")

Requests = Batch[Received[SettlementRequested]]
DueInstructions = Batch[Due[Instruction], BankResponse]
BankCall = Callable[[Sequence[Instruction]], Awaitable[Responses]]

START_WITHIN = timedelta(seconds=6)
"""Time after the claim; a message that starts later might end after the lease of 10 s."""


@dataclass(frozen=True, slots=True)
class Routing:
    """The routing table: prefix of an account → partner."""

    by_prefix: dict[str, str]
    default: str

    def partner_of(self, event: SettlementRequested) -> str:
        """Return the partner that holds the payee's account."""
        return route(event.creditor_account, self.by_prefix, self.default)


async def on_settlement_requested(
    batch: Requests, instructions: Instructions, routing: Routing
) -> Events:
    """Store an instruction for each confirmed payment, due at once; emit nothing."""
    new = []
    for item in batch:
        partner = routing.partner_of(item.event)
        new.append(NewInstruction(instruct(item.event, partner, batch.now), item.cause.trace))
    if await instructions.add(new):
        raise Rejected("uetr: belongs to another payment")
    return ()


async def on_due_instructions_claimed(batch: DueInstructions, instructions: Instructions) -> None:
    """Commit the state SENDING before the bank is called."""
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
    """Send to a bank that is not idempotent; enquire about transfers that were sent before.

    A row may have been sent before if the partner's profile was idempotent at that time.
    """
    call = _Call(bank, clock, batch.now + START_WITHIN)
    responses = await call.send([item.row for item in batch if item.row.sent_at is None])
    sent_before = [item.row for item in batch if item.row.sent_at is not None]
    return _by_cause(batch, responses | await call.enquire(sent_before))


async def enquire(
    batch: DueInstructions, bank: PartnerBank, clock: Clock
) -> Mapping[UUID, BankResponse]:
    """Enquire about transfers at one partner."""
    call = _Call(bank, clock, batch.now + START_WITHIN)
    return _by_cause(batch, await call.enquire([item.row for item in batch]))


def _by_cause(batch: DueInstructions, responses: Responses) -> Mapping[UUID, BankResponse]:
    return {item.cause.id: responses[item.row.uetr] for item in batch}


@dataclass(frozen=True, slots=True)
class _Call:
    """The messages of one claim. A refused message is split into halves, which are sent again.

    The order is breadth first: accepted halves follow refused ones, so the breaker stays closed. A
    transfer that is not sent before `until` counts as not sent.
    """

    bank: PartnerBank
    clock: Clock
    until: datetime

    async def send(self, rows: Sequence[Instruction]) -> dict[Uetr, BankResponse]:
        # A server error is not split: the bank may have booked, so the next step is an enquiry.
        return await self._in_halves(self.bank.send, messages_of(rows), {Kind.REFUSED})

    async def enquire(self, rows: Sequence[Instruction]) -> dict[Uetr, BankResponse]:
        halved = {Kind.REFUSED, Kind.FAILED}
        return await self._in_halves(self.bank.enquire, [rows] if rows else [], halved)

    async def _in_halves(
        self, call: BankCall, messages: Iterable[Sequence[Instruction]], halved: Collection[Kind]
    ) -> dict[Uetr, BankResponse]:
        waiting, responses = deque(messages), dict[Uetr, BankResponse]()
        while waiting and self.clock.now() < self.until:
            rows = waiting.popleft()
            responses |= await call(rows)
            middle = len(rows) // 2
            if middle and all(responses[row.uetr].kind in halved for row in rows):
                waiting += [rows[:middle], rows[middle:]]
        not_sent = BankResponse(Kind.NOT_ASKED)
        return responses | {row.uetr: not_sent for rows in waiting for row in rows}


async def on_due_instructions(
    batch: DueInstructions, instructions: Instructions, policy: Policy
) -> Events:
    """Apply the bank's responses to the instructions and emit each step."""
    events: list[Emit] = []
    changed: list[Instruction] = []
    cases: list[Case] = []
    ended: list[Instruction] = []
    for item in batch:
        response = batch.lookups[item.cause.id]
        decision = after_answer(item.row, response, batch.now, policy)
        _observe(decision, batch)
        changed.append(decision.state)
        events.extend(Emit(event, item.cause) for event in decision.events)
        cases += cases_of_step(item.row, decision, response, batch.now)
        ended += [decision.state] if is_ended_by_bank(item.row, decision.state) else []
    await instructions.save(changed)
    steps = [*await instructions.cases.open(cases), *await _close_cases(ended, instructions)]
    return [*events, *(audit_step(case, SERVICE) for case in steps)]


async def _close_cases(ended: Sequence[Instruction], instructions: Instructions) -> Sequence[Case]:
    """Close the cases of transfers whose outcome the bank has supplied."""
    closed: list[Case] = []
    for row in ended:
        known = await instructions.cases.about(row.partner, [row.uetr])
        cases = (case for case in known if awaits_people(case))
        closed += [close_explained(case, f"its bank has answered: {row.status}") for case in cases]
    await instructions.cases.save(closed)
    return closed


def _observe(decision: Decision, batch: DueInstructions) -> None:
    if decision.is_late:
        _late.add(1, {"partner": decision.state.partner})
        _log.warning("late_answer", uetr=decision.state.uetr, status=decision.state.status)
    for event in decision.events:
        _steps.add(1, {"status": event.status, "partner": event.partner})
        if event.status == "SETTLED":
            _durations.record((batch.now - event.confirmed_at).total_seconds())
