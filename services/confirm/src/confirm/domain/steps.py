"""Steps shared by requests and results: decline, challenge, confirm."""

from dataclasses import replace
from datetime import datetime

from confirm.domain.decision import Decision, final_answer
from confirm.domain.events import about, reply
from confirm.domain.ledger import hold
from confirm.domain.payment import Payment, Policy, Status
from payment_schemas.answers import DeclineReason
from payment_schemas.events.confirmation import (
    ConfirmRequested,
    PaymentConfirmed,
    PaymentDeclined,
)
from payment_schemas.events.otp import ChallengeRequested
from payment_schemas.events.settlement import SettlementRequested


def decline(payment: Payment, reason: DeclineReason, now: datetime) -> Decision:
    """Decline the payment and reply to the waiting request."""
    answer = final_answer(payment, Status.DECLINED, reason)
    state = payment.moved(
        Status.DECLINED,
        now,
        due_at=None,
        reason=reason,
        answer_status=answer.status,
        answer_body=answer.body,
    )
    return Decision(state, (reply(payment, answer), about(PaymentDeclined, state)))


def challenge(payment: Payment, policy: Policy, now: datetime) -> Decision:
    """Request a new code from otp; the reply follows otp's result."""
    expires_at = now + policy.state_timeout
    state = payment.moved(
        Status.CHALLENGING,
        now,
        due_at=expires_at,
        challenge_number=payment.challenge_number + 1,
        challenge_over=False,
    )
    return Decision(state, (about(ChallengeRequested, state, expires_at=expires_at),))


def confirm(payment: Payment, now: datetime, *, funds: bool) -> Decision:
    """Hold the funds and confirm; decline without funds."""
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
    accounts = {"debtor_account": state.from_account, "creditor_account": state.to_account}
    events = (
        reply(payment, answer),
        about(PaymentConfirmed, state, confirmed_at=now),
        about(SettlementRequested, state, confirmed_at=now, **accounts),
    )
    return Decision(state, events, transfer=hold(state))


def with_request(payment: Payment, request: ConfirmRequested) -> Payment:
    """Return the payment with the request that the next reply goes to."""
    return replace(payment, request_id=request.request_id, reply_partition=request.reply_partition)
