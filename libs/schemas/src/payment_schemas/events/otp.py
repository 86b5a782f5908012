"""One-time codes: asked for, issued, tried, judged."""

from datetime import datetime
from typing import ClassVar, Literal

from pydantic import Field

from payment_schemas.events.base import PaymentEvent
from payment_schemas.ids import AccountId, ChallengeId, RequestId
from payment_schemas.money import AmountMinor, Currency
from payment_schemas.sealed import Sealed

VerificationResult = Literal["valid", "invalid", "expired", "locked"]


class ChallengeRequested(PaymentEvent):
    """Confirm asks for a one-time code. Emitted by confirm; read by otp and audit."""

    topic: ClassVar = "otp.challenge-requested.v1"

    version: int
    challenge_number: int = Field(ge=1, le=3)
    """Which challenge of this payment; at most 3 (contract.md, one-time codes)."""
    amount_minor: AmountMinor
    currency: Currency
    to_account: AccountId
    expires_at: datetime


class Challenged(PaymentEvent):
    """A code was issued. Emitted by otp; read by confirm, notification, audit."""

    topic: ClassVar = "otp.challenged.v1"

    challenge_id: ChallengeId
    challenge_number: int
    sealed_code: Sealed
    """The code, sealed for notification."""
    code_expires_at: datetime
    amount_minor: AmountMinor
    currency: Currency
    to_account: AccountId


class VerificationRequested(PaymentEvent):
    """A customer gave a code. Emitted by confirm; read by otp and audit."""

    topic: ClassVar = "otp.verification-requested.v1"

    version: int
    challenge_id: ChallengeId
    request_id: RequestId
    sealed_code: Sealed
    """The code, sealed by gateway for otp."""
    expires_at: datetime


class Verified(PaymentEvent):
    """A code was judged. Emitted by otp; read by confirm and audit."""

    topic: ClassVar = "otp.verified.v1"

    challenge_id: ChallengeId
    request_id: RequestId
    result: VerificationResult
    challenge_over: bool
    """The challenge takes no further codes: it was used, has expired or is locked."""
