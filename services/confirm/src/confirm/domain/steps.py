"""The steps that several inputs lead to: decline, ask for a code, confirm."""

from dataclasses import replace
from datetime import datetime

from confirm.domain.decision import Decision, event_about, final_answer, reply
from confirm.domain.ledger import hold
from confirm.domain.payment import Payment, Policy, Status
from payment_schemas.answers import DeclineReason
from payment_schemas.events.confirmation import PaymentConfirmed, PaymentDeclined
from payment_schemas.events.otp import ChallengeRequested
from payment_schemas.events.settlement import SettlementRequested
from payment_schemas.ids import RequestId


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
    return Decision(state, (reply(payment, answer), event_about(state, PaymentDeclined)))


def challenge(payment: Payment, policy: Policy, now: datetime) -> Decision:
    """Ask otp for a new code; whoever waits is answered when it has been issued."""
    state = payment.moved(
        Status.CHALLENGING,
        now,
        due_at=now + policy.state_timeout,
        challenge_number=payment.challenge_number + 1,
        challenge_over=False,
    )
    event = event_about(state, ChallengeRequested, expires_at=now + policy.state_timeout)
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
    to_settle = {"debtor_account": state.from_account, "creditor_account": state.to_account}
    events = (
        reply(payment, answer),
        event_about(state, PaymentConfirmed, confirmed_at=now),
        event_about(state, SettlementRequested, confirmed_at=now, **to_settle),
    )
    return Decision(state, events, journal=hold(state))


def with_waiter(payment: Payment, request_id: RequestId, reply_partition: int) -> Payment:
    """Return the payment with the request that moves it as the one that waits."""
    return replace(payment, request_id=request_id, reply_partition=reply_partition)
