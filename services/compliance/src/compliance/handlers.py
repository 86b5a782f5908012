"""What risk and confirm say of payments becomes history."""

from typing import Any

from compliance.store import Payments
from payment_schemas.events.confirmation import PaymentConfirmed
from payment_schemas.events.risk import RiskAssessed
from service_runtime.messages import Batch, Events, Received


async def on_risk_assessed(batch: Batch[Received[RiskAssessed]], store: Payments) -> Events:
    """Keep the look-ups of assessed payments, each once."""
    rows = {item.event.payment_id: _assessed(item.event) for item in batch}
    await store.know_assessed(list(rows.values()))
    return ()


async def on_payment_confirmed(batch: Batch[Received[PaymentConfirmed]], store: Payments) -> Events:
    """Keep confirmed payments, each once."""
    rows = {item.event.payment_id: _confirmed(item.event) for item in batch}
    await store.know_confirmed(list(rows.values()))
    return ()


def _assessed(event: RiskAssessed) -> dict[str, Any]:
    hits = {one.party: one.hit for one in event.screenings}
    versions = sorted({one.list_version for one in event.screenings})
    return {
        "payment_id": event.payment_id,
        "user_id": event.user_id,
        "amount_usd_minor": event.amount_usd_minor,
        "debtor_hit": hits.get("debtor"),
        "creditor_hit": hits.get("creditor"),
        "match_score": max((one.match_score for one in event.screenings), default=None),
        "list_version": versions[-1] if versions else None,
        "kyc": event.kyc,
    }


def _confirmed(event: PaymentConfirmed) -> dict[str, Any]:
    return {
        "payment_id": event.payment_id,
        "user_id": event.user_id,
        "payee": event.to_account,
        "amount_minor": event.amount_minor,
        "currency": event.currency,
        "country": event.context.country,
        "confirmed_at": event.confirmed_at,
    }
