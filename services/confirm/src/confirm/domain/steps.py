"""The steps that several inputs lead to: decline, ask for a code, confirm."""

from dataclasses import replace
from datetime import datetime

from confirm.domain.decision import Decision, final_answer, told
from confirm.domain.ledger import hold
from confirm.domain.payment import Payment, Policy, Status
from payment_schemas.answers import DeclineReason
from payment_schemas.events.base import Event
from payment_schemas.events.confirmation import PaymentConfirmed, PaymentDeclined
from payment_schemas.events.otp import ChallengeRequested
from payment_schemas.events.settlement import SettlementRequested


def decline(payment: Payment, reason: DeclineReason, now: datetime) -> Decision:
    """Decline, finally, and tell whoever waits."""
    answer = final_answer(payment, Status.DECLINED, reason)
    state = payment.moved(
        Status.DECLINED,
        now,
        due_at=None,
        reason=reason,
        answer_status=answer.status,
        answer_body=answer.body,
    )
    return Decision(state, (told(payment, answer), declined_event(state, reason)))


def declined_event(payment: Payment, reason: DeclineReason) -> PaymentDeclined:
    """Return the event that tells of a declined payment."""
    return PaymentDeclined(
        payment_id=payment.id,
        user_id=payment.user_id,
        transaction_id=payment.transaction_id,
        version=payment.version,
        amount_minor=payment.amount_minor,
        currency=payment.currency,
        from_account=payment.from_account,
        to_account=payment.to_account,
        reason=reason,
        risk_score=payment.risk_score,
        context=payment.context,
    )


def challenge(payment: Payment, policy: Policy, now: datetime) -> Decision:
    """Ask otp for a new code; whoever waits is answered when it has been issued."""
    state = payment.moved(
        Status.CHALLENGING,
        now,
        due_at=now + policy.patience,
        challenge_number=payment.challenge_number + 1,
        challenge_over=False,
    )
    event = ChallengeRequested(
        payment_id=state.id,
        user_id=state.user_id,
        transaction_id=state.transaction_id,
        version=state.version,
        challenge_number=state.challenge_number,
        amount_minor=state.amount_minor,
        currency=state.currency,
        to_account=state.to_account,
        expires_at=now + policy.patience,
    )
    return Decision(state, (event,))


def confirm(payment: Payment, now: datetime, *, funds: bool) -> Decision:
    """Hold the funds and confirm, or decline for want of them."""
    if not funds:
        return decline(payment, "insufficient_funds", now)
    answer = final_answer(payment, Status.CONFIRMED, None)
    state = payment.moved(
        Status.CONFIRMED,
        now,
        due_at=None,
        settlement_status="PENDING",
        answer_status=answer.status,
        answer_body=answer.body,
    )
    events = (told(payment, answer), _confirmed_event(state, now), _settlement_request(state, now))
    return Decision(state, events, journal=hold(state))


def with_waiter(payment: Payment, request_id: object, reply_partition: int) -> Payment:
    """Return the payment with the request that moves it as the one that waits."""
    return replace(payment, request_id=request_id, reply_partition=reply_partition)


def _confirmed_event(payment: Payment, now: datetime) -> Event:
    return PaymentConfirmed(
        payment_id=payment.id,
        user_id=payment.user_id,
        transaction_id=payment.transaction_id,
        version=payment.version,
        amount_minor=payment.amount_minor,
        currency=payment.currency,
        from_account=payment.from_account,
        to_account=payment.to_account,
        reference=payment.reference,
        settlement_method=payment.settlement_method,
        # Nothing is confirmed unscored: a payment without a score is a fault of ours.
        risk_score=_known(payment.risk_score),
        confirmed_at=now,
        context=payment.context,
    )


def _known(score: int | None) -> int:
    if score is None:
        raise ValueError("a payment cannot be confirmed without a risk score")
    return score


def _settlement_request(payment: Payment, now: datetime) -> Event:
    return SettlementRequested(
        payment_id=payment.id,
        user_id=payment.user_id,
        transaction_id=payment.transaction_id,
        uetr=payment.uetr,
        amount_minor=payment.amount_minor,
        currency=payment.currency,
        debtor_account=payment.from_account,
        creditor_account=payment.to_account,
        confirmed_at=now,
    )
