"""The events that confirm emits: replies, and events about a payment."""

from dataclasses import fields
from functools import cache
from typing import Any, Literal, TypeVar

from confirm.domain.payment import Payment
from payment_schemas.answers import Answer
from payment_schemas.events.base import PaymentEvent
from payment_schemas.events.confirmation import (
    ConfirmAnswered,
    ConfirmRequested,
    PaymentStatusChanged,
)

ReviewReason = Literal["amount", "risk"]
E = TypeVar("E", bound=PaymentEvent)


def reply(request: ConfirmRequested | Payment, answer: Answer) -> ConfirmAnswered:
    """Return the reply to a request, or to the last request that changed a payment."""
    return ConfirmAnswered(
        request_id=request.request_id,
        reply_partition=request.reply_partition,
        status=answer.status,
        body=answer.body,
        headers=answer.headers,
    )


def about(event: type[E], payment: Payment, **further: Any) -> E:
    """Return an event with the payment's fields of the same names, and further ones.

    Raises ValueError where the payment has no value for a field that the event requires.
    """
    shared = {name: getattr(payment, name) for name in _shared(event)}
    return event(**{"payment_id": payment.id, **shared, **further})


def status_changed(payment: Payment) -> PaymentStatusChanged:
    """Return the payment as its owner sees it."""
    confirmed = payment.public_status == "SUCCESS"
    return about(
        PaymentStatusChanged,
        payment,
        sequence=payment.sequence,
        status=payment.public_status,
        reference=payment.reference if confirmed else None,
        settlement_method=payment.settlement_method if confirmed else None,
        occurred_at=payment.updated_at,
    )


def looks_changed(before: Payment | None, after: Payment) -> bool:
    """Return whether the owner sees another status; a new payment is known to be pending."""
    shown = ("PENDING", "NONE")
    if before is not None:
        shown = before.public_status, before.settlement_status
    return (after.public_status, after.settlement_status) != shown


@cache
def _shared(event: type[PaymentEvent]) -> frozenset[str]:
    own = {field.name for field in fields(Payment)} | {"context"}
    return frozenset(own & event.model_fields.keys())
