"""What confirm does with each event, batch by batch."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from confirm.domain.decision import Decision, ReviewCase, answered, outcome_of
from confirm.domain.ledger import Account, Ledger
from confirm.domain.payment import Payment, Policy
from confirm.domain.requests import Drawn, create, on_request, refusal
from confirm.domain.results import (
    after_challenge,
    after_deadline,
    after_risk,
    after_settlement,
    after_verification,
)
from confirm.store.port import Payments
from payment_schemas.events.confirmation import ConfirmAnswered, ConfirmRequested
from payment_schemas.events.otp import Challenged, Verified
from payment_schemas.events.risk import RiskAssessed
from payment_schemas.events.settlement import SettlementUpdated
from payment_schemas.ids import PaymentId, payment_id_of
from service_runtime import metrics
from service_runtime.errors import Unavailable
from service_runtime.messages import Batch, Due, Emit, Events, Item, Received, fold

_confirms = metrics.counter("payment_confirm", "Answers decided, by outcome and risk level.")

Requests = Batch[Received[ConfirmRequested]]


async def on_confirm_requested(
    batch: Requests, payments: Payments, policy: Policy, draw: Callable[[], Drawn]
) -> Events:
    """Create what is new, move or answer what is known, request after request."""
    requests = [item.event for item in batch]
    accounts = await payments.accounts({r.from_account for r in requests if r.from_account})
    created = _create_new(batch, accounts, policy, draw)
    await payments.open([decision.state for decision in created.values()])
    known = _Known(await payments.lock_known(requests), created, accounts)
    decisions = [(item, known.decide(item.event, policy, batch)) for item in batch]
    await payments.save(known.changed.values())
    return [Emit(event, item.cause) for item, decision in decisions for event in decision.events]


def _create_new(
    batch: Requests, accounts: dict[str, Account], policy: Policy, draw: Callable[[], Drawn]
) -> dict[PaymentId, Decision]:
    """Decide what each request would create if its transaction and key were new.

    Of a batch's requests for one transaction, or under one key, the first one counts.
    """
    created: dict[PaymentId, Decision] = {}
    keys = set()
    for request in (item.event for item in batch):
        account = accounts.get(request.from_account or "")
        payment_id = payment_id_of(request.user_id, request.transaction_id)
        key = (request.user_id, request.idempotency_key)
        if payment_id in created or key in keys or refusal(request, account) or account is None:
            continue
        created[payment_id] = create(request, account, draw(), policy, batch.now)
        keys.add(key)
    return created


class _Known:
    """The stored payments of a batch, found by transaction and by key, as they change."""

    def __init__(
        self,
        stored: Sequence[Payment],
        created: dict[PaymentId, Decision],
        accounts: dict[str, Account],
    ) -> None:
        self._by_id = {payment.id: payment for payment in stored}
        self._by_key = {
            (payment.user_id, payment.idempotency_key): payment.id for payment in stored
        }
        self._created = created
        self._accounts = accounts
        self.changed: dict[PaymentId, Payment] = {}

    def decide(self, request: ConfirmRequested, policy: Policy, batch: Requests) -> Decision:
        """Decide one request on what the ones before it left."""
        payment = self._find(request)
        if payment is None:
            return self._refuse(request)
        decision = self._creation(payment, request) or on_request(
            payment, request, policy, batch.now
        )
        if decision.state is not payment:
            self._by_id[payment.id] = self.changed[payment.id] = decision.state
        _count(decision)
        return decision

    def _find(self, request: ConfirmRequested) -> Payment | None:
        by_key = self._by_key.get((request.user_id, request.idempotency_key))
        payment_id = by_key or payment_id_of(request.user_id, request.transaction_id)
        return self._by_id.get(payment_id)

    def _creation(self, payment: Payment, request: ConfirmRequested) -> Decision | None:
        """Return how the request created the payment, if it was this one that did."""
        created = self._created.get(payment.id)
        if created is None or payment.request_id != request.request_id or payment.version != 1:
            return None
        del self._created[payment.id]
        return Decision(payment, created.events)

    def _refuse(self, request: ConfirmRequested) -> Decision:
        answer = refusal(request, self._accounts.get(request.from_account or ""))
        if answer is None:
            # Nothing of its own is stored under its transaction or key: its reference was taken.
            raise Unavailable("reference taken")
        # A refusal binds neither key nor transaction, so there is no payment to speak of.
        return Decision(_NO_PAYMENT, (answered(request, answer),))


_NO_PAYMENT: Any = None


async def on_risk_assessed(
    batch: Batch[Received[RiskAssessed]], payments: Payments, policy: Policy
) -> Events:
    """Decide every payment of the batch whose risk is now known."""
    states, ledger = await _lock_with_funds(batch, payments)

    def decide(payment: Payment, item: Received[RiskAssessed]) -> Decision:
        funds = ledger.covers(payment)
        return after_risk(payment, item.event, policy, batch.now, funds=funds)

    return await _carry_out(batch, payments, states, ledger, decide)


async def on_challenged(
    batch: Batch[Received[Challenged]], payments: Payments, policy: Policy
) -> Events:
    """Ask whoever waits for the code that was issued."""
    states = await payments.lock(item.event.payment_id for item in batch)

    def decide(payment: Payment, item: Received[Challenged]) -> Decision:
        return after_challenge(payment, item.event, policy, batch.now)

    return await _carry_out(batch, payments, states, Ledger({}), decide)


async def on_verified(
    batch: Batch[Received[Verified]], payments: Payments, policy: Policy
) -> Events:
    """Confirm what was given the right code; ask again, or give up, where it was wrong."""
    states, ledger = await _lock_with_funds(batch, payments)

    def decide(payment: Payment, item: Received[Verified]) -> Decision:
        funds = ledger.covers(payment)
        return after_verification(payment, item.event, policy, batch.now, funds=funds)

    return await _carry_out(batch, payments, states, ledger, decide)


async def on_settlement_updated(
    batch: Batch[Received[SettlementUpdated]], payments: Payments
) -> Events:
    """Post what settled to clearing, give back what was rejected."""
    states, ledger = await _lock_with_funds(batch, payments)

    def decide(payment: Payment, item: Received[SettlementUpdated]) -> Decision:
        return after_settlement(payment, item.event, batch.now)

    return await _carry_out(batch, payments, states, ledger, decide)


async def on_due_payments(batch: Batch[Due[Payment]], payments: Payments) -> Events:
    """Decline what has waited past its deadline."""
    states = await payments.lock(item.row.id for item in batch)

    def decide(payment: Payment, _item: Due[Payment]) -> Decision:
        return after_deadline(payment, batch.now)

    return await _carry_out(batch, payments, states, Ledger({}), decide, key=lambda due: due.row.id)


def _payment_id(item: Any) -> PaymentId:
    payment_id: PaymentId = item.event.payment_id
    return payment_id


async def _lock_with_funds(
    batch: Batch[Received[Any]], payments: Payments
) -> tuple[dict[PaymentId, Payment], Ledger]:
    """Lock the payments, then the accounts that pay for them."""
    states = await payments.lock(_payment_id(item) for item in batch)
    payers = {payment.from_account for payment in states.values()}
    return states, Ledger(await payments.lock_accounts(payers))


async def _carry_out(
    batch: Iterable[Any],
    payments: Payments,
    states: dict[PaymentId, Payment],
    ledger: Ledger,
    decide: Callable[[Payment, Any], Decision],
    key: Callable[[Any], PaymentId] = _payment_id,
) -> Events:
    """Fold the decisions over the batch, each on what the one before left, and write them all."""
    reviews: list[ReviewCase] = []

    def decide_and_post(payment: Payment, item: Item) -> Decision:
        decision = decide(payment, item)
        if decision.journal is not None:
            ledger.post(decision.journal)
        if decision.review is not None:
            reviews.append(decision.review)
        _count(decision)
        return decision

    outcome = fold(batch, states, key, decide_and_post)
    await payments.save(outcome.changed.values())
    await payments.post(ledger)
    await payments.open_reviews(reviews)
    return outcome.events


def _count(decision: Decision) -> None:
    for event in decision.events:
        outcome = outcome_of(event) if isinstance(event, ConfirmAnswered) else None
        if outcome is not None:
            level = decision.state.risk_level or "unknown"
            _confirms.add(1, {"status": outcome, "risk": level})
