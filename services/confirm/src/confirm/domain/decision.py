"""What a decision is: the next state, the events that tell of it, and the money that moves."""

from dataclasses import dataclass
from functools import cache
from typing import Any, Literal, TypeVar
from uuid import UUID, uuid5

from confirm.domain.ledger import Journal
from confirm.domain.payment import Payment, Status
from payment_schemas import answers
from payment_schemas.answers import Answer, DeclineReason
from payment_schemas.events.base import Event, PaymentEvent
from payment_schemas.events.confirmation import ConfirmAnswered, ConfirmRequested

ReviewReason = Literal["amount", "risk"]
E = TypeVar("E", bound=PaymentEvent)


@dataclass(frozen=True, slots=True)
class ReviewCase:
    """A payment that a person should look at."""

    id: UUID
    payment_id: UUID
    reasons: tuple[ReviewReason, ...]


@dataclass(frozen=True, slots=True)
class Decision:
    """The outcome of one input on one payment."""

    state: Payment
    events: tuple[Event, ...] = ()
    journal: Journal | None = None
    review: ReviewCase | None = None


def ignore(payment: Payment) -> Decision:
    """Nothing changes: the input came too late, or twice."""
    return Decision(payment)


def reply_to(request: ConfirmRequested, answer: Answer) -> ConfirmAnswered:
    """Return the answer to one request."""
    return ConfirmAnswered(
        request_id=request.request_id,
        reply_partition=request.reply_partition,
        status=answer.status,
        body=answer.body,
        headers=answer.headers,
    )


def reply(payment: Payment, answer: Answer) -> ConfirmAnswered:
    """Return the answer to whoever waits for the payment."""
    return ConfirmAnswered(
        request_id=payment.request_id,
        reply_partition=payment.reply_partition,
        status=answer.status,
        body=answer.body,
        headers=answer.headers,
    )


def event_about(payment: Payment, kind: type[E], **fields: Any) -> E:
    """Return an event about a payment; what both have under one name is the payment's.

    Raises ValueError where a field is missing: nothing is confirmed unscored.
    """
    shared = {name: getattr(payment, name) for name in _shared(kind)}
    return kind(payment_id=payment.id, **(shared | fields))


@cache
def _shared(kind: type[PaymentEvent]) -> tuple[str, ...]:
    return tuple(name for name in kind.model_fields if hasattr(Payment, name))


def final_answer(payment: Payment, status: Status, reason: DeclineReason | None) -> Answer:
    """Return the answer that is stored and replayed."""
    if status is Status.CONFIRMED:
        return answers.success(payment.transaction_id, payment.reference, payment.settlement_method)
    return answers.declined(payment.transaction_id, reason or "timed_out")


def review_case(payment: Payment, reasons: tuple[ReviewReason, ...]) -> ReviewCase:
    """Return the case of a payment; there is one at most."""
    return ReviewCase(uuid5(payment.id, "review"), payment.id, reasons)


def outcome_of(answer: ConfirmAnswered) -> str | None:
    """Return an answer's name in the metrics; None where a request was merely refused."""
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
