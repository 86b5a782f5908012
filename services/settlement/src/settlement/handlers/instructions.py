"""Handlers of settlement requests and due instructions."""

from collections import deque
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from types import MappingProxyType
from uuid import UUID

from payment_schemas.events.settlement import SettlementRequested
from payment_schemas.ids import Uetr
from service_runtime.clock import Clock
from service_runtime.errors import Rejected
from service_runtime.messages import Batch, Cause, Due, Events, Received
from service_runtime.work import Worker
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
from settlement.domain.partners import KafkaPartner, queue, routes_of
from settlement.handlers.publishing import Outlet, Step
from settlement.handlers.steps import Steps
from settlement.store import Instructions, NewInstruction

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
    senders: Mapping[str, Worker] = field(default_factory=dict)
    """Partner → the worker that sends; new rows are leased to it while it has places."""

    def partner_of(
        self, event: SettlementRequested, by_kafka: Mapping[str, str] = MappingProxyType({})
    ) -> str:
        """Return the partner that holds the payee's account; the routes of Kafka come first."""
        account = event.creditor_account
        return route(account, by_kafka, "") or route(account, self.by_prefix, self.default)


async def on_settlement_requested(
    batch: Requests, instructions: Instructions, routing: Routing, outlet: Outlet
) -> Events:
    """Store an instruction for each confirmed payment.

    For a bank on Kafka the record is published in the same commit; while it is suspended, the
    instruction waits here. For a bank over HTTP it is stored as SENDING and leased where its sender
    has a place (decision 0024).
    """
    known = await instructions.partners.profiles()
    by_kafka = routes_of(known.values())
    queued = [
        (instruct(item.event, routing.partner_of(item.event, by_kafka), batch.now), item)
        for item in batch
    ]
    profiles = await instructions.partners.hold(known.keys() & {row.partner for row, _ in queued})
    begun = [
        _first_step(row, profiles.get(row.partner), item.cause, outlet, batch.now)
        for row, item in queued
    ]
    added = await instructions.add(_new(begun, routing, profiles))
    if added.refused:
        raise Rejected("uetr: belongs to another payment")
    steps = Steps(batch.now)
    for one in begun:
        # Once, though a request may come again, in another batch or in this one.
        if one.decision.state.payment_id in added.new:
            added.new.discard(one.decision.state.payment_id)
            steps.add(one.decision, one.cause)
            steps.events += one.records
    return steps.events


def _new(
    begun: Iterable[Step], routing: Routing, by_kafka: Collection[str]
) -> list[NewInstruction]:
    places = {partner: sender.places() for partner, sender in routing.senders.items()}
    new = []
    for one in begun:
        row = one.decision.state
        free = () if row.partner in by_kafka else places.get(row.partner, ())
        new.append(NewInstruction(row, one.cause.trace, next(iter(free), None)))
    return new


def _first_step(
    queued: Instruction,
    profile: KafkaPartner | None,
    cause: Cause,
    outlet: Outlet,
    now: datetime,
) -> Step:
    """Return the first step of a new instruction; without a profile its bank is called."""
    if profile is None:
        return Step(Decision(queued), cause)
    if profile.is_suspended:
        return Step(Decision(queue(queued)), cause)
    return outlet.first(queued, profile, cause, now)


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
    """Apply the bank's responses to the instructions and emit each step.

    A row whose epoch has changed is another worker's: its step has no effect and no event.
    """
    decisions = {
        item.cause.id: after_answer(item.row, batch.lookups[item.cause.id], batch.now, policy)
        for item in batch
    }
    epochs = {item.cause.id: item.epoch for item in batch}
    saved = await instructions.save([one.state for one in decisions.values()], epochs)
    steps = Steps(batch.now)
    for item in (one for one in batch if one.cause.id in saved):
        decision, response = decisions[item.cause.id], batch.lookups[item.cause.id]
        steps.answer(item.row, decision, response, item.cause)
    return await steps.finish(instructions)
