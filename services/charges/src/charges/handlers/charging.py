"""Due charges: which call is next, the call, and what follows from the reply."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from charges.clients import METHOD, Provider, Router
from charges.domain.charge import (
    Call,
    Charge,
    Decision,
    Goal,
    Policy,
    Step,
    after_reply,
    begin,
    is_expired,
    next_call,
    without_route,
)
from charges.domain.replies import Kind, Reply
from charges.domain.routing import Choice, RouteRow, segment_of
from charges.store import Cards, Charges, Routes, Waiting
from charges.store.changes import captured, emit, note_late
from payment_schemas.sealed import Sealed
from service_runtime.clock import Clock
from service_runtime.messages import Batch, Due, Events
from service_runtime.sealing import Sealer

_SUCCESS = frozenset({Kind.AUTHORIZED, Kind.CAPTURED})
_FAILURE = frozenset({Kind.NO_ANSWER, Kind.NOT_SENT, Kind.REFUSED})


@dataclass(frozen=True, slots=True)
class Plan:
    """The call that is due; the charge is as it was committed before."""

    charge: Charge
    call: Call
    may_execute: bool = True
    source: str | None = None
    """The provider's own token of the customer's card; None: the charge's source is one."""
    no_route: str | None = None
    """Why nothing is called."""


@dataclass(frozen=True, slots=True)
class Called:
    """A call's reply; None where nothing was called."""

    plan: Plan
    reply: Reply | None


async def plan(
    due: Sequence[Due[Charge]], store: Charges, router: Router, policy: Policy, clock: Clock
) -> Mapping[UUID, Plan]:
    """Choose providers, and commit with the claim that the calls begin."""
    plans: dict[UUID, Plan] = {}
    choices: list[tuple[UUID, int, Choice]] = []
    # A card's tokens at the providers never change, so that a repeat of a call is word for word.
    cards = await Cards(store.tx).sources(item.row.source for item in due)
    for item in due:
        made, choice = _planned(item.row, router, policy, clock, cards.get(item.row.source))
        plans[item.row.id] = made
        choices += [(item.row.id, item.row.attempt, choice)] if choice else []
    changed = {item.row.id: item.row for item in due}
    await store.save([one.charge for key, one in plans.items() if one.charge != changed[key]])
    await Routes(store.tx).log(choices)
    return plans


def _planned(
    charge: Charge,
    router: Router,
    policy: Policy,
    clock: Clock,
    tokens: Mapping[str, str] | None,
) -> tuple[Plan, Choice | None]:
    now = clock.now()
    step, choice = next_call(charge, now, policy), None
    call = Call(step or Step.AUTHORIZE, charge.attempt, charge.sent_at is None)
    call = replace(call, is_first=call.is_first and step is Step.AUTHORIZE)
    if step is None:
        return Plan(charge, call, no_route="timed_out"), None
    provider = charge.provider
    if provider is None:
        choice = router.choose(charge.money, now.date(), charge.tried, tokens)
        provider = choice.provider
    if provider is None:
        return Plan(charge, call, no_route="no_provider"), None
    begun = begin(replace(charge, next_step=step), provider, now)
    may_execute = charge.goal is not Goal.VOID and not is_expired(charge, now, policy)
    source = tokens[provider] if tokens is not None else None
    return Plan(begun, call, may_execute, source), choice


@dataclass(frozen=True, slots=True)
class Caller:
    """Makes the call of one charge."""

    providers: Mapping[str, Provider]
    emails: Sealer

    async def __call__(self, _due: Due[Charge], made: Plan) -> Called:
        """Return the reply; None where nothing may be called."""
        if made.no_route:
            return Called(made, None)
        return Called(made, await self._reply(made))

    async def _reply(self, made: Plan) -> Reply:
        source = made.source or made.charge.source
        charge = replace(made.charge, source=source, email=self._email(made.charge))
        provider = self.providers[charge.provider or ""]
        match made.call.step:
            case Step.AUTHORIZE:
                return await provider.authorize(charge)
            case Step.CAPTURE:
                return await provider.capture(charge)
            case Step.VOID:
                return await provider.void(charge)
            case _:
                return await provider.enquire(charge, may_execute=made.may_execute)

    def _email(self, charge: Charge) -> str:
        """Return the address, opened; one of an older version is in clear."""
        if not charge.email or "@" in charge.email:
            return charge.email
        return self.emails.open(Sealed(charge.email), charge.id).reveal()


async def on_called(
    batch: Batch[Due[Charge], Called],
    store: Charges,
    router: Router,
    policy: Policy,
    waiting: Waiting,
) -> Events:
    """Save what follows from the replies: states, transfers, what routing learns, events.

    The charges are locked and read again: an owner or a webhook may have changed them meanwhile.
    """
    states = await store.lock(item.row.id for item in batch)
    decided: list[tuple[Due[Charge], Charge, Decision]] = []
    for item in batch:
        called, before = batch.lookups[item.cause.id], states[item.row.id]
        decided.append((item, before, _decided(before, called, batch.now, policy)))
    await store.save([one.state for _, _, one in decided], ends_lease=True)
    await store.post(
        transfer
        for _, before, one in decided
        if one.state.captured_minor and not before.captured_minor
        for transfer in captured(one.state, batch.now.date())
    )
    outcomes = [row for one in batch.lookups.values() if (row := _outcome(one))]
    await Routes(store.tx).learn(outcomes)
    await note_late([one.state for _, _, one in decided if one.is_late], store)
    router.learn(outcomes)
    waiting.note(store.tx, states)
    return [
        emit(decision.state, item.cause)
        for item, before, decision in decided
        if decision.changes(before)
    ]


def _decided(before: Charge, called: Called, now: datetime, policy: Policy) -> Decision:
    call, reply = called.plan.call, called.reply
    if reply is None:
        return without_route(before, call.attempt, called.plan.no_route or "no_provider")
    return after_reply(before, call, reply, now, policy)


def _outcome(called: Called) -> RouteRow | None:
    """Return what routing learns of a first call; a hard decline says nothing of the provider."""
    call, charge, reply = called.plan.call, called.plan.charge, called.reply
    if reply is None:
        return None
    is_soft = reply.kind is Kind.DECLINED and reply.is_soft
    is_known = reply.kind in _SUCCESS or reply.kind in _FAILURE or is_soft
    if not call.is_first or charge.provider is None or not is_known:
        return None
    segment = segment_of(METHOD, charge.money)
    is_success = reply.kind in _SUCCESS
    return RouteRow(charge.id, call.attempt, segment, charge.provider, is_success)
