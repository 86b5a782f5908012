"""Decisions on results of other services, and on deadlines.

A result is ignored in every state that does not wait for it, so a late result changes nothing.
After a payment's deadline the caller applies `after_deadline` instead of the result.
"""

from dataclasses import replace
from datetime import datetime
from math import ceil
from typing import assert_never

from confirm.domain.decision import Decision, ignore, review_case
from confirm.domain.events import ReviewReason, about, reply
from confirm.domain.ledger import release, settle
from confirm.domain.payment import FINAL, Payment, Policy, Status
from confirm.domain.steps import challenge, confirm, decline
from payment_schemas import answers
from payment_schemas.answers import Answer
from payment_schemas.events.confirmation import ReviewOpened
from payment_schemas.events.otp import Challenged, ChallengeRefused, Verified
from payment_schemas.events.risk import RiskAssessed
from payment_schemas.events.settlement import SettlementUpdated


def after_risk(
    payment: Payment, risk: RiskAssessed, policy: Policy, now: datetime, *, funds: bool
) -> Decision:
    """Decide the next step of a scored payment."""
    if payment.status is not Status.AWAITING_RISK:
        return ignore(payment)
    scored = replace(payment, risk_score=risk.score, risk_level=risk.level)
    return _reviewed(_next_after_risk(scored, risk, policy, now, funds=funds), risk, policy)


def _next_after_risk(
    payment: Payment, risk: RiskAssessed, policy: Policy, now: datetime, *, funds: bool
) -> Decision:
    if risk.sanctions == "hit" or risk.kyc == "rejected" or "decline" in risk.rules:
        return decline(payment, "not_permitted", now)
    if policy.decline_at is not None and risk.score >= policy.decline_at:
        return decline(payment, "not_permitted", now)
    if risk.score >= policy.challenge_at or "code" in risk.rules:
        return challenge(payment, policy, now)
    return confirm(payment, now, funds=funds)


def _reviewed(decision: Decision, risk: RiskAssessed, policy: Policy) -> Decision:
    """Add a review case over a limit, or where a rule demands one; the payment continues."""
    payment = decision.state
    reasons: tuple[ReviewReason, ...] = ()
    if risk.amount_usd_minor > policy.review_over_minor:
        reasons += ("amount",)
    if risk.score > policy.review_over_score or "review" in risk.rules:
        reasons += ("risk",)
    if not reasons:
        return decision
    event = about(ReviewOpened, payment, reasons=reasons, risk_score=risk.score)
    return replace(decision, events=(*decision.events, event), review=review_case(payment, reasons))


def after_challenge(
    payment: Payment, issued: Challenged, policy: Policy, now: datetime
) -> Decision:
    """Reply to the waiting request that the issued code is required."""
    if payment.status is not Status.CHALLENGING:
        return ignore(payment)
    if issued.challenge_number != payment.challenge_number:
        return ignore(payment)
    state = payment.moved(
        Status.AWAITING_CODE,
        now,
        due_at=issued.code_expires_at + policy.state_timeout,
        challenge_id=issued.challenge_id,
        challenged_at=now,
        challenge_ends_at=issued.code_expires_at,
    )
    left_s = max(0, ceil((issued.code_expires_at - now).total_seconds()))
    return Decision(state, (reply(payment, answers.otp_required(left_s)),))


def after_refusal(payment: Payment, refused: ChallengeRefused, now: datetime) -> Decision:
    """Reply to the waiting request with the reason why no code was issued.

    No challenge is used up, the deadline stays, and the client can send the request again.
    """
    if payment.status is not Status.CHALLENGING or refused.version != payment.version:
        return ignore(payment)
    state = payment.moved(
        Status.AWAITING_CODE,
        now,
        challenge_number=payment.challenge_number - 1,
        challenge_over=True,
    )
    return Decision(state, (reply(payment, _refusal(refused)),))


def _refusal(refused: ChallengeRefused) -> Answer:
    match refused.reason:
        case "locked":
            return answers.codes_locked()
        case "undeliverable":
            return answers.otp_undeliverable()
        case "too_many":
            return answers.too_many_requests(refused.retry_after_s or 1)
        case _:
            assert_never(refused.reason)


def after_verification(
    payment: Payment, judged: Verified, policy: Policy, now: datetime, *, funds: bool
) -> Decision:
    """Decide a judged code: confirm, ask for another, or decline after the last challenge."""
    if payment.status is not Status.VERIFYING or judged.request_id != payment.request_id:
        return ignore(payment)
    if judged.result == "valid":
        return confirm(replace(payment, accepted_tag=payment.tag_under_test), now, funds=funds)
    is_last = payment.challenge_number >= policy.challenges
    if judged.challenge_over and is_last and not judged.codes_locked:
        return decline(payment, "otp_exhausted", now)
    state = payment.moved(
        Status.AWAITING_CODE,
        now,
        due_at=(payment.challenge_ends_at or now) + policy.state_timeout,
        challenge_over=judged.challenge_over,
        tag_under_test=None,
    )
    answer = answers.codes_locked() if judged.codes_locked else answers.invalid_otp()
    return Decision(state, (reply(payment, answer),))


def after_new_hit(payment: Payment, now: datetime) -> Decision:
    """Decline a payment that a changed list hits while it is open; a final one stays as it is.

    In each open state: the assessment that the payment has, or waits for, is of the former list.
    """
    return ignore(payment) if payment.status in FINAL else decline(payment, "not_permitted", now)


def after_settlement(payment: Payment, update: SettlementUpdated, now: datetime) -> Decision:
    """Store the settlement status; post to clearing or release the hold, once."""
    late = update.version <= payment.settlement_version
    if payment.status is not Status.CONFIRMED or late or _is_settled(payment):
        return ignore(payment)
    state = replace(
        payment,
        settlement_status=update.status,
        settlement_version=update.version,
        updated_at=now,
    )
    if update.status == "SETTLED":
        return Decision(state, transfer=settle(state, update.partner))
    if update.status == "REJECTED":
        return Decision(state, transfer=release(state))
    return Decision(state)


def _is_settled(payment: Payment) -> bool:
    return payment.settlement_status in ("SETTLED", "REJECTED")


def after_deadline(payment: Payment, now: datetime) -> Decision:
    """Decline a payment whose state has passed its deadline."""
    if payment.is_overdue(now):
        return decline(payment, "timed_out", now)
    return ignore(payment)
