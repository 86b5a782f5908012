"""A decision: the next state, its events and its transfer."""

from dataclasses import dataclass
from uuid import UUID, uuid5

from confirm.domain.events import ReviewReason
from confirm.domain.payment import Payment, Status
from double_entry.rules import Transfer
from payment_schemas import answers
from payment_schemas.answers import Answer, DeclineReason
from payment_schemas.events.base import Event
from payment_schemas.events.confirmation import ConfirmAnswered


@dataclass(frozen=True, slots=True)
class ReviewCase:
    """A payment that a person must review."""

    id: UUID
    payment_id: UUID
    reasons: tuple[ReviewReason, ...]


@dataclass(frozen=True, slots=True)
class Decision:
    """The outcome of one input on one payment."""

    state: Payment
    events: tuple[Event, ...] = ()
    transfer: Transfer | None = None
    review: ReviewCase | None = None


def ignore(payment: Payment) -> Decision:
    """Change nothing: the input is late or a duplicate."""
    return Decision(payment)


def final_answer(payment: Payment, status: Status, reason: DeclineReason | None) -> Answer:
    """Return the final response, which is stored and replayed."""
    if status is Status.CONFIRMED:
        return answers.success(payment.transaction_id, payment.reference, payment.settlement_method)
    return answers.declined(payment.transaction_id, reason or "timed_out")


def review_case(payment: Payment, reasons: tuple[ReviewReason, ...]) -> ReviewCase:
    """Return the payment's review case; its id makes it unique."""
    return ReviewCase(uuid5(payment.id, "review"), payment.id, reasons)


def outcome_of(answer: ConfirmAnswered) -> str | None:
    """Return a reply's label in the metrics; None for a refusal."""
    if ("Idempotent-Replayed", "true") in answer.headers:
        return "replayed"
    match answer.status:
        case 200:
            return "success"
        case 401:
            return "otp_invalid"
        case 403 if '"DECLINED"' in answer.body:
            return "failed" if '"timed_out"' in answer.body else "declined"
        case 403 if '"OTP_REQUIRED"' in answer.body:
            return "otp_required"
        case _:
            return None
