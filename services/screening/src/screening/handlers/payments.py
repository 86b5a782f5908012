"""Payments become rows that a changed list is compared with."""

from payment_schemas.events.confirmation import PaymentConfirmed, PaymentDeclined
from payment_schemas.events.risk import AssessmentRequested, RiskAssessed
from screening.store import Payments
from service_runtime.messages import Batch, Events, Received


async def on_requested(batch: Batch[Received[AssessmentRequested]], store: Payments) -> Events:
    """Keep the parties of new payments."""
    await store.know_requested(
        {
            "payment_id": event.payment_id,
            "user_id": event.user_id,
            "transaction_id": event.transaction_id,
            "from_account": event.from_account,
            "to_account": event.to_account,
            "amount_minor": event.amount_minor,
            "currency": event.currency,
            "sealed_to_name": event.sealed_to_name and event.sealed_to_name.reveal(),
        }
        for event in (item.event for item in batch)
    )
    return ()


async def on_assessed(batch: Batch[Received[RiskAssessed]], store: Payments) -> Events:
    """Keep the scores, and the lists' version of the payee's screening."""
    versions = {
        item.event.payment_id: one.list_version
        for item in batch
        for one in item.event.screenings
        if one.party == "creditor"
    }
    await store.know_assessed(
        {
            "payment_id": event.payment_id,
            "risk_score": event.score,
            "lists_version": versions[event.payment_id],
        }
        for event in (item.event for item in batch)
        if event.payment_id in versions
    )
    return ()


async def on_decided(
    batch: Batch[Received[PaymentConfirmed | PaymentDeclined]], store: Payments
) -> Events:
    """Keep the outcomes."""
    await store.know_decided(
        {"payment_id": event.payment_id, "outcome": _outcome(event)}
        for event in (item.event for item in batch)
    )
    return ()


def _outcome(event: PaymentConfirmed | PaymentDeclined) -> str:
    return "CONFIRMED" if isinstance(event, PaymentConfirmed) else "DECLINED"
