"""A payment, its states, and the legal steps between them."""

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, assert_never

from payment_schemas.answers import DeclineReason, PublicSettlementStatus, PublicStatus
from payment_schemas.events.base import ClientContext
from payment_schemas.events.risk import RiskLevel
from payment_schemas.ids import ChallengeId, PaymentId, RequestId, Uetr
from payment_schemas.money import DEFAULT_CURRENCY, Instrument


class Status(StrEnum):
    """The state of a payment; CONFIRMED and DECLINED are final."""

    AWAITING_RISK = "AWAITING_RISK"
    CHALLENGING = "CHALLENGING"
    AWAITING_CODE = "AWAITING_CODE"
    VERIFYING = "VERIFYING"
    CONFIRMED = "CONFIRMED"
    DECLINED = "DECLINED"


FINAL = frozenset({Status.CONFIRMED, Status.DECLINED})

LEGAL: frozenset[tuple[Status, Status]] = frozenset(
    {
        (Status.AWAITING_RISK, Status.CHALLENGING),
        (Status.AWAITING_RISK, Status.CONFIRMED),
        (Status.AWAITING_RISK, Status.DECLINED),
        (Status.CHALLENGING, Status.AWAITING_CODE),
        (Status.CHALLENGING, Status.DECLINED),
        (Status.AWAITING_CODE, Status.CHALLENGING),
        (Status.AWAITING_CODE, Status.VERIFYING),
        (Status.AWAITING_CODE, Status.DECLINED),
        (Status.VERIFYING, Status.AWAITING_CODE),
        (Status.VERIFYING, Status.CONFIRMED),
        (Status.VERIFYING, Status.DECLINED),
    }
)
"""The contract's table of states; a database trigger enforces the same table."""


@dataclass(frozen=True, slots=True)
class Policy:
    """Limits of the contract that an operator can configure."""

    challenge_at: int = 70
    """Score from which a code is required."""
    decline_at: int | None = None
    """Score from which a payment is declined; None: no score declines a payment."""
    review_over_minor: int = 10_000_00
    """USD cents; more than this opens a review case."""
    review_over_score: int = 90
    """A score above this opens a review case."""
    challenges: int = 3
    challenge_again_after: timedelta = timedelta(seconds=30)
    state_timeout: timedelta = timedelta(minutes=15)
    """Time limit of a state that waits for another service, or after a code has expired."""
    currencies: Collection[str] = frozenset({DEFAULT_CURRENCY})
    """Currencies that risk can score; a payment in another one would wait until its deadline."""
    replay_status: int | None = None
    """Status of a replayed response; None: the first response's own."""


@dataclass(frozen=True, slots=True)
class Payment:
    """One payment; the fields are the table's columns."""

    id: PaymentId
    user_id: str
    transaction_id: str
    idempotency_key: str
    amount_minor: int
    currency: str
    from_account: str
    to_account: str
    status: Status
    version: int
    """Increases by one with every change of status."""
    request_id: RequestId
    """The last request that changed the payment; the next reply goes to it."""
    reply_partition: int
    due_at: datetime | None
    """The state's deadline; None in a final state."""
    uetr: Uetr
    reference: str
    created_at: datetime
    updated_at: datetime
    settlement_method: str = "ACH"
    settlement_status: PublicSettlementStatus = "NONE"
    settlement_version: int = 0
    ip_address: str | None = None
    device_fingerprint: str | None = None
    country: str | None = None
    traceparent: str | None = None
    """The trace of the request that created the payment."""
    instrument: Instrument | None = None
    branch: str | None = None
    """Where cash was handed in."""
    risk_score: int | None = None
    risk_level: RiskLevel | None = None
    challenge_id: ChallengeId | None = None
    challenge_number: int = 0
    challenged_at: datetime | None = None
    challenge_ends_at: datetime | None = None
    challenge_over: bool = False
    tag_under_test: str | None = None
    accepted_tag: str | None = None
    """Tag of the accepted code; it cannot be turned back into the code."""
    reason: DeclineReason | None = None
    answer_status: int | None = None
    answer_body: str | None = None
    """The final response, stored so that every replay repeats it byte for byte."""

    @property
    def context(self) -> ClientContext:
        """The client context of the first request."""
        return ClientContext(
            ip_address=self.ip_address,
            device_fingerprint=self.device_fingerprint,
            country=self.country,
            traceparent=self.traceparent,
        )

    @property
    def sequence(self) -> int:
        """Grows with every change that the owner can see: each raises one of the two versions."""
        return self.version + self.settlement_version

    @property
    def public_status(self) -> PublicStatus:
        """The status that clients see."""
        match self.status:
            case Status.AWAITING_RISK | Status.CHALLENGING | Status.VERIFYING:
                return "PENDING"
            case Status.AWAITING_CODE:
                return "OTP_REQUIRED"
            case Status.CONFIRMED:
                return "SUCCESS"
            case Status.DECLINED:
                return "DECLINED"
            case _:
                assert_never(self.status)

    def is_overdue(self, now: datetime) -> bool:
        """Return whether the deadline has passed; then only `timed_out` may follow."""
        return self.due_at is not None and self.due_at <= now

    def moved(self, status: Status, now: datetime, **changes: Any) -> "Payment":
        """Return the payment in its next status; raise ValueError for an illegal step."""
        if (self.status, status) not in LEGAL:
            raise ValueError(f"no way from {self.status} to {status}")
        return replace(self, status=status, version=self.version + 1, updated_at=now, **changes)
