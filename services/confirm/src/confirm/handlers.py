"""Confirm's handlers; each handles a batch of events in one transaction."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any
from uuid import UUID

from confirm.domain.decision import Decision, ReviewCase, ignore, outcome_of
from confirm.domain.encrypted import OpenedRequest
from confirm.domain.events import looks_changed, reply, status_changed
from confirm.domain.ledger import ledger as ledger_of
from confirm.domain.payment import Payment, Policy
from confirm.domain.request_batch import RequestBatch
from confirm.domain.requests import is_expired
from confirm.domain.results import (
    after_challenge,
    after_deadline,
    after_new_hit,
    after_refusal,
    after_risk,
    after_settlement,
    after_verification,
)
from confirm.store.port import Payments
from double_entry.rules import Ledger
from payment_schemas import answers
from payment_schemas.answers import Answer
from payment_schemas.events.confirmation import ConfirmAnswered, ConfirmRequested, ReviewOpened
from payment_schemas.events.otp import Challenged, ChallengeRefused, Verified
from payment_schemas.events.risk import RiskAssessed
from payment_schemas.events.settlement import SettlementUpdated
from payment_schemas.ids import PaymentId, Uetr
from service_runtime import metrics, tracing
from service_runtime.logs import Log
from service_runtime.messages import Batch, Cause, Due, Emit, Events, Item, Received, fold

_log = Log("payments")
_confirms = metrics.counter("payment_confirm", "Replies, by outcome and risk level.")
_dropped = metrics.counter("confirm_dropped", "Commands that had expired when they were read.")
_codes = metrics.counter("otp_validation", "Verified one-time codes, by result.")

Request = Received[ConfirmRequested]
Requests = Batch[Request, OpenedRequest | Answer]


async def on_confirm_requested(
    batch: Requests, payments: Payments, policy: Policy, draw_uetr: Callable[[], Uetr]
) -> Events:
    """Decide requests in order: create new payments, change stored ones, or only reply.

    Raises UniqueViolation where another instance creates one of the payments at the same time.
    """
    items, refused = await _readable(_in_time(batch), batch.lookups, payments)
    requests = [item.event for item in items]
    payers = {request.from_account for request in requests if request.from_account}
    folded = RequestBatch(await payments.accounts(payers), policy, batch.now, draw_uetr)
    stored = await payments.lock_known(requests)
    folded.add_stored(stored)
    causes = dict[PaymentId, Cause]()
    events = [emit for item in items for emit in _answer(folded, item, causes)]
    await payments.open(folded.new.values())
    await payments.save(folded.changed.values())
    before = {payment.id: payment for payment in stored}
    written = (*folded.new.values(), *folded.changed.values())
    return [*refused, *events, *_status_changes(before, written, causes)]


async def _readable(
    items: list[Request], lookups: Mapping[UUID, OpenedRequest | Answer], payments: Payments
) -> tuple[list[Request], list[Emit]]:
    """Return the requests, encrypted ones opened; and the replies to those that are refused."""
    found = {item.cause.id: lookups[item.cause.id] for item in items if item.event.encrypted}
    if not found:
        return items, []
    uses = [one.use for one in found.values() if isinstance(one, OpenedRequest)]
    replayed = await payments.claim_uses(uses)
    readable, refused = list[Request](), list[Emit]()
    for item in items:
        one = found.get(item.cause.id)
        if isinstance(one, OpenedRequest) and one.use in replayed:
            one = answers.not_decrypted()
        if isinstance(one, Answer):
            refused.append(Emit(reply(item.event, one), item.cause))
        else:
            readable.append(replace(item, event=one.request) if one else item)
    return readable, refused


def _in_time(batch: Requests) -> list[Request]:
    """Return the commands that have not expired; count the others."""
    kept = [item for item in batch if not is_expired(item.event, batch.now)]
    if len(kept) < len(batch):
        _dropped.add(len(batch) - len(kept), {"reason": "expired"})
    return kept


def _answer(folded: RequestBatch, item: Request, causes: dict[PaymentId, Cause]) -> list[Emit]:
    decision = folded.decide(item.event)
    if isinstance(decision, Answer):
        return [Emit(reply(item.event, decision), item.cause)]
    causes[decision.state.id] = item.cause
    _count(decision)
    _count_code(decision.state, item.event)
    _link_to_first(decision.state, item)
    return [Emit(event, item.cause) for event in decision.events]


def _link_to_first(payment: Payment, item: Request) -> None:
    """Link a later request's trace to the trace of the request that created the payment."""
    first = payment.traceparent
    if first is not None and first != item.event.context.traceparent:
        tracing.link(item.cause.id, (("traceparent", first),))


async def on_risk_assessed(
    batch: Batch[Received[RiskAssessed]], payments: Payments, policy: Policy
) -> Events:
    """Decide payments with a new risk result."""

    def decide(payment: Payment, item: Received[RiskAssessed], ledger: Ledger) -> Decision:
        funds = _covers(ledger, payment)
        return after_risk(payment, item.event, policy, batch.now, funds=funds)

    return await _carry_out(batch, payments, decide, locks_payers=True)


async def on_challenged(
    batch: Batch[Received[Challenged]], payments: Payments, policy: Policy
) -> Events:
    """Reply to the waiting requests that a code is required."""

    def decide(payment: Payment, item: Received[Challenged], _: Ledger) -> Decision:
        return after_challenge(payment, item.event, policy, batch.now)

    return await _carry_out(batch, payments, decide)


async def on_challenge_refused(
    batch: Batch[Received[ChallengeRefused]], payments: Payments
) -> Events:
    """Reply to the waiting requests with the reason why no code was issued."""

    def decide(payment: Payment, item: Received[ChallengeRefused], _: Ledger) -> Decision:
        return after_refusal(payment, item.event, batch.now)

    return await _carry_out(batch, payments, decide)


async def on_verified(
    batch: Batch[Received[Verified]], payments: Payments, policy: Policy
) -> Events:
    """Confirm payments with the right code; else ask for another code, or decline."""

    def decide(payment: Payment, item: Received[Verified], ledger: Ledger) -> Decision:
        funds = _covers(ledger, payment)
        return after_verification(payment, item.event, policy, batch.now, funds=funds)

    return await _carry_out(batch, payments, decide, locks_payers=True)


async def on_review_opened(batch: Batch[Received[ReviewOpened]], payments: Payments) -> Events:
    """Decline open payments that a changed list hits; no other review changes a payment."""
    hits = tuple(item for item in batch if item.event.screening and item.event.screening.hit)
    if not hits:
        return []

    def decide(payment: Payment, _item: Received[ReviewOpened], _: Ledger) -> Decision:
        return after_new_hit(payment, batch.now)

    return await _carry_out(replace(batch, items=hits), payments, decide)


async def on_settlement_updated(
    batch: Batch[Received[SettlementUpdated]], payments: Payments
) -> Events:
    """Post settled payments to clearing; release the holds of rejected ones."""

    def decide(payment: Payment, item: Received[SettlementUpdated], _: Ledger) -> Decision:
        return after_settlement(payment, item.event, batch.now)

    # A settlement moves internal accounts alone.
    releases = any(item.event.status == "REJECTED" for item in batch)
    return await _carry_out(batch, payments, decide, locks_payers=releases)


async def on_due_payments(batch: Batch[Due[PaymentId]], payments: Payments) -> Events:
    """Decline payments past their deadline."""
    return await _carry_out(batch, payments, lambda payment, *_: ignore(payment))


def _payment_id(item: Any) -> PaymentId:
    payment_id: PaymentId = item.row if isinstance(item, Due) else item.event.payment_id
    return payment_id


def _covers(ledger: Ledger, payment: Payment) -> bool:
    return ledger.covers(payment.from_account, payment.amount_minor, payment.currency)


async def _carry_out(
    batch: Batch[Any],
    payments: Payments,
    decide: Callable[[Payment, Any, Ledger], Decision],
    *,
    locks_payers: bool = False,
) -> Events:
    """Decide the batch in order, each item on the state after the previous one; write the results.

    An overdue payment is declined whatever the item is, because the deadline worker may be late.
    """
    ids = [_payment_id(item) for item in batch]
    states, payers = await payments.lock(ids, with_payers=locks_payers)
    ledger, reviews = ledger_of(payers), list[ReviewCase]()

    def decide_and_post(payment: Payment, item: Item) -> Decision:
        is_overdue = payment.is_overdue(batch.now)
        decision = (
            after_deadline(payment, batch.now) if is_overdue else decide(payment, item, ledger)
        )
        if decision.transfer is not None:
            ledger.post(decision.transfer)
        if decision.review is not None:
            reviews.append(decision.review)
        _count(decision)
        return decision

    outcome = fold(batch, states, _payment_id, decide_and_post)
    await payments.save(outcome.changed.values())
    await payments.post(ledger)
    await payments.open_reviews(reviews)
    causes = {_payment_id(item): item.cause for item in batch}
    return [*outcome.events, *_status_changes(states, outcome.changed.values(), causes)]


def _status_changes(
    before: Mapping[PaymentId, Payment],
    written: Iterable[Payment],
    causes: Mapping[PaymentId, Cause],
) -> list[Emit]:
    """Return one record for each payment whose owner sees another status than before the batch."""
    return [
        Emit(status_changed(payment), causes[payment.id])
        for payment in written
        if looks_changed(before.get(payment.id), payment)
    ]


def _count(decision: Decision) -> None:
    for event in decision.events:
        outcome = outcome_of(event) if isinstance(event, ConfirmAnswered) else None
        if outcome is not None:
            level = decision.state.risk_level or "unknown"
            _confirms.add(1, {"status": outcome, "risk": level})
            if outcome == "failed":
                _log.info(
                    "payment_failed", payment_id=decision.state.id, reason=decision.state.reason
                )


def _count_code(payment: Payment, request: ConfirmRequested) -> None:
    """Count a code that confirm compares with the accepted code; otp counts the others."""
    if request.code_tag is not None and payment.accepted_tag is not None:
        same = request.code_tag == payment.accepted_tag
        _codes.add(1, {"result": "valid" if same else "invalid"})
