"""One-time codes: requested, issued or refused, verified; locked for a user."""

from datetime import datetime
from typing import ClassVar, Literal

from pydantic import Field

from payment_schemas.events.base import Command, PaymentEvent
from payment_schemas.ids import AccountId, ChallengeId, RequestId
from payment_schemas.money import AmountMinor, Currency
from payment_schemas.sealed import Sealed

VerificationResult = Literal["valid", "invalid", "expired", "locked"]
ChallengeRefusal = Literal["locked", "undeliverable", "too_many"]


class ChallengeRequested(Command, PaymentEvent):
    """Issue a one-time code. Emitted by confirm; read by otp and audit."""

    topic: ClassVar = "otp.challenge-requested.v1"
    acting_readers: ClassVar = ("otp",)

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
    acting_readers: ClassVar = ("confirm",)

    challenge_id: ChallengeId
    challenge_number: int
    sealed_code: Sealed
    """The code, sealed for notification."""
    code_expires_at: datetime
    amount_minor: AmountMinor
    currency: Currency
    to_account: AccountId


class ChallengeRefused(PaymentEvent):
    """No code is issued for now. Emitted by otp; read by confirm and audit.

    `locked`: too many wrong codes of this user; `undeliverable`: no contact that may receive a
    code; `too_many`: this user's challenges are at a limit.
    """

    topic: ClassVar = "otp.challenge-refused.v1"
    acting_readers: ClassVar = ("confirm",)

    version: int
    """The payment's version in the request; confirm ignores the refusal of an older one."""
    challenge_number: int
    reason: ChallengeRefusal
    retry_after_s: int | None = Field(default=None, ge=1)
    """After it the same request may succeed; only with `too_many`."""


class VerificationRequested(Command, PaymentEvent):
    """Verify a customer's code. Emitted by confirm; read by otp and audit."""

    topic: ClassVar = "otp.verification-requested.v1"
    acting_readers: ClassVar = ("otp",)

    version: int
    challenge_id: ChallengeId
    request_id: RequestId
    sealed_code: Sealed
    """The code, sealed by gateway for otp."""
    expires_at: datetime


class Verified(PaymentEvent):
    """A code was verified. Emitted by otp; read by confirm, notification, audit."""

    topic: ClassVar = "otp.verified.v1"
    acting_readers: ClassVar = ("confirm",)

    challenge_id: ChallengeId
    request_id: RequestId
    result: VerificationResult
    challenge_over: bool
    """The challenge takes no further codes: it was used, has expired or is locked."""
    codes_locked: bool = False
    """The code was not checked: the user entered too many wrong ones. The result is `locked`."""


class CodesLockChanged(PaymentEvent):
    """A user's codes were locked or unlocked. Emitted by otp; read by notification and audit.

    The payment is the one for which the last wrong code was entered.
    """

    topic: ClassVar = "otp.codes-lock-changed.v1"

    is_locked: bool
    wrong_codes: int = Field(ge=0)
    """In a row, over all payments of the user."""
    amount_minor: AmountMinor
    currency: Currency
    to_account: AccountId
