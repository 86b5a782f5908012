"""Constructors of the events that confirm emits."""

from datetime import datetime
from typing import Any, Literal, TypeVar

from confirm.domain.payment import Payment
from payment_schemas.answers import Answer
from payment_schemas.events.confirmation import (
    ConfirmAnswered,
    ConfirmRequested,
    PaymentConfirmed,
    PaymentDeclined,
    ReviewOpened,
)
from payment_schemas.events.otp import ChallengeRequested, VerificationRequested
from payment_schemas.events.risk import AssessmentRequested
from payment_schemas.events.settlement import SettlementRequested
from payment_schemas.sealed import Sealed

ReviewReason = Literal["amount", "risk"]
T = TypeVar("T")


def reply(request: ConfirmRequested | Payment, answer: Answer) -> ConfirmAnswered:
    """Return the reply to a request, or to the last request that changed a payment."""
    return ConfirmAnswered(
        request_id=request.request_id,
        reply_partition=request.reply_partition,
        status=answer.status,
        body=answer.body,
        headers=answer.headers,
    )


def assessment_requested(payment: Payment, now: datetime) -> AssessmentRequested:
    """Return the request to score a new payment."""
    return AssessmentRequested(
        **_identity(payment),
        **_money(payment),
        version=payment.version,
        from_account=payment.from_account,
        to_account=payment.to_account,
        requested_at=now,
        expires_at=payment.due_at or now,
        context=payment.context,
    )


def challenge_requested(payment: Payment, expires_at: datetime) -> ChallengeRequested:
    """Return the request for a one-time code."""
    return ChallengeRequested(
        **_identity(payment),
        **_money(payment),
        version=payment.version,
        challenge_number=payment.challenge_number,
        to_account=payment.to_account,
        expires_at=expires_at,
    )


def verification_requested(
    payment: Payment, sealed_code: Sealed, expires_at: datetime
) -> VerificationRequested:
    """Return the request to verify a code; raise ValueError without a challenge."""
    return VerificationRequested(
        **_identity(payment),
        version=payment.version,
        challenge_id=_required("challenge_id", payment.challenge_id),
        request_id=payment.request_id,
        sealed_code=sealed_code,
        expires_at=expires_at,
    )


def payment_confirmed(payment: Payment, now: datetime) -> PaymentConfirmed:
    """Return the confirmation; raise ValueError without a risk score."""
    return PaymentConfirmed(
        **_identity(payment),
        **_money(payment),
        version=payment.version,
        from_account=payment.from_account,
        to_account=payment.to_account,
        reference=payment.reference,
        settlement_method=payment.settlement_method,
        risk_score=_required("risk_score", payment.risk_score),
        confirmed_at=now,
        context=payment.context,
    )


def payment_declined(payment: Payment) -> PaymentDeclined:
    """Return the decline; raise ValueError without a reason."""
    return PaymentDeclined(
        **_identity(payment),
        **_money(payment),
        version=payment.version,
        from_account=payment.from_account,
        to_account=payment.to_account,
        reason=_required("reason", payment.reason),
        risk_score=payment.risk_score,
        context=payment.context,
    )


def settlement_requested(payment: Payment, now: datetime) -> SettlementRequested:
    """Return the request to settle a confirmed payment."""
    return SettlementRequested(
        **_identity(payment),
        **_money(payment),
        uetr=payment.uetr,
        debtor_account=payment.from_account,
        creditor_account=payment.to_account,
        confirmed_at=now,
    )


def review_opened(
    payment: Payment, reasons: tuple[ReviewReason, ...], risk_score: int
) -> ReviewOpened:
    """Return the event that a person must review a payment."""
    return ReviewOpened(
        **_identity(payment), **_money(payment), reasons=reasons, risk_score=risk_score
    )


def _identity(payment: Payment) -> dict[str, Any]:
    return {
        "payment_id": payment.id,
        "user_id": payment.user_id,
        "transaction_id": payment.transaction_id,
    }


def _money(payment: Payment) -> dict[str, Any]:
    return {"amount_minor": payment.amount_minor, "currency": payment.currency}


def _required(name: str, value: T | None) -> T:
    if value is None:
        raise ValueError(f"a payment in this state must have a {name}")
    return value
