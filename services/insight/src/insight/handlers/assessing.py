"""Assessed payments become explanations, or are due for one; changes become known payments."""

from typing import Any
from uuid import UUID

from insight.domain.explanation import Explanation, by_template
from insight.domain.shape import shape_of
from insight.store import Assessed, ErasedSubjects, Explanations, KnownPayments
from payment_schemas.events.confirmation import PaymentStatusChanged
from payment_schemas.events.insight import RiskExplained
from payment_schemas.events.risk import RiskAssessed
from payment_schemas.events.subject import SubjectErased
from service_runtime import metrics
from service_runtime.messages import Batch, Cause, Emit, Events, Received

NO_MODEL = "no_model"
_explained = metrics.counter("explanations", "Explanations, by source and reason.")


async def on_risk_assessed(
    batch: Batch[Received[RiskAssessed]], store: Explanations, *, has_model: bool
) -> Events:
    """Explain by the template at once where there is no model; otherwise the row is due."""
    new: dict[UUID, tuple[Assessed, Explanation | None]] = {}
    causes: dict[UUID, Cause] = {item.event.payment_id: item.cause for item in batch}
    for item in batch:
        event, shape = item.event, shape_of(item.event)
        ids = (event.payment_id, event.user_id, event.transaction_id)
        explanation = None if has_model else by_template(shape, NO_MODEL)
        new[event.payment_id] = (Assessed(*ids, shape, item.cause.trace), explanation)
    added = await store.add(new.values())
    return [
        explained(one, explanation, causes[one.id])
        for one, explanation in new.values()
        if explanation and one.id in added
    ]


async def on_status_changed(
    batch: Batch[Received[PaymentStatusChanged]], store: KnownPayments
) -> Events:
    """Keep what the owners see."""
    await store.save([_known(item.event) for item in batch])
    return ()


async def on_erased(batch: Batch[Received[SubjectErased]], store: ErasedSubjects) -> Events:
    """Remove what is known of erased persons."""
    await store.erase([item.event.user_id for item in batch])
    return ()


def explained(payment: Assessed, explanation: Explanation, cause: Cause) -> Emit:
    """Return the event of an explanation, and count it."""
    _explained.add(1, {"source": explanation.source, "reason": explanation.reason or "none"})
    event = RiskExplained(
        payment_id=payment.id,
        user_id=payment.user_id,
        transaction_id=payment.transaction_id,
        summary=explanation.summary,
        recommendations=explanation.recommendations,
        source=explanation.source,
        reason=explanation.reason,
    )
    return Emit(event, cause)


def _known(event: PaymentStatusChanged) -> dict[str, Any]:
    return {
        "payment_id": event.payment_id,
        "user_id": event.user_id,
        "transaction_id": event.transaction_id,
        "sequence": event.sequence,
        "status": event.status,
        "settlement_status": event.settlement_status,
        "reason": event.reason,
        "amount_minor": event.amount_minor,
        "currency": event.currency,
        "created_at": event.created_at,
        "updated_at": event.occurred_at,
    }
