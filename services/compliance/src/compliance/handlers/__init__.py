"""What risk and confirm say of payments becomes history, and evidence of review cases."""

from collections.abc import Mapping, Sequence
from typing import Any
from zoneinfo import ZoneInfo

from compliance.domain.cases import Reason, sar_due_on
from compliance.domain.cash import business_day
from compliance.store import Cases, Payments
from payment_schemas.events.confirmation import PaymentConfirmed, ReviewOpened
from payment_schemas.events.risk import RiskAssessed
from service_runtime.messages import Batch, Events, Received
from service_runtime.postgres import PostgresTransaction

Stores = tuple[Payments, Cases]


def stores(tx: PostgresTransaction) -> Stores:
    """Return the tables that the handlers write."""
    return Payments(tx), Cases(tx)


class Handlers:
    """The handlers, with the bank's time zone."""

    def __init__(self, zone: ZoneInfo) -> None:
        self._zone = zone

    async def on_risk_assessed(self, batch: Batch[Received[RiskAssessed]], store: Stores) -> Events:
        """Keep the look-ups of assessed payments, each once; what a rule stops is reviewed."""
        payments, cases = store
        rows = {item.event.payment_id: _assessed(item.event) for item in batch}
        await payments.know_assessed(list(rows.values()))
        reviewed = [self._reviewed(item, ["rule"]) for item in batch if _is_reviewed(item.event)]
        if reviewed:
            await cases.open_suspicious(reviewed)
        await cases.open_for_cash(list(rows))
        return ()

    async def on_payment_confirmed(
        self, batch: Batch[Received[PaymentConfirmed]], store: Stores
    ) -> Events:
        """Keep confirmed payments, each once; those in cash are added up."""
        payments, cases = store
        rows = {item.event.payment_id: self._confirmed(item.event) for item in batch}
        await payments.know_confirmed(list(rows.values()))
        in_cash = [name for name, row in rows.items() if row["instrument"] == "CASH"]
        if in_cash:
            await cases.open_for_cash(in_cash)
        return ()

    async def on_review_opened(self, batch: Batch[Received[ReviewOpened]], store: Stores) -> Events:
        """Open cases for payments that confirm wants reviewed."""
        await store[1].open_suspicious([self._reviewed(item, item.event.reasons) for item in batch])
        return ()

    def _reviewed(
        self, item: Received[RiskAssessed] | Received[ReviewOpened], reasons: Sequence[Reason]
    ) -> Mapping[str, Any]:
        """Return a payment to review; what it is about is detected when it is published."""
        event, detected_at = item.event, item.time
        known = {} if isinstance(event, RiskAssessed) else _amount(event)
        return {
            "payment_id": event.payment_id,
            "user_id": event.user_id,
            "transaction_id": event.transaction_id,
            "reasons": reasons,
            "detected_at": detected_at,
            "due_on": sar_due_on(detected_at.astimezone(self._zone).date(), suspect_known=True),
            **known,
        }

    def _confirmed(self, event: PaymentConfirmed) -> dict[str, Any]:
        return {
            "payment_id": event.payment_id,
            "user_id": event.user_id,
            "transaction_id": event.transaction_id,
            "account": event.from_account,
            "payee": event.to_account,
            "amount_minor": event.amount_minor,
            "currency": event.currency,
            "country": event.context.country,
            "confirmed_at": event.confirmed_at,
            "instrument": event.instrument,
            "branch": event.branch,
            "business_day": business_day(event.confirmed_at, self._zone),
        }


def _is_reviewed(event: RiskAssessed) -> bool:
    return not {"review", "decline"}.isdisjoint(event.rules)


def _amount(event: ReviewOpened) -> Mapping[str, Any]:
    return {"amount_minor": event.amount_minor, "currency": event.currency}


def _assessed(event: RiskAssessed) -> dict[str, Any]:
    hits = {one.party: one.hit for one in event.screenings}
    versions = sorted({one.list_version for one in event.screenings})
    return {
        "payment_id": event.payment_id,
        "user_id": event.user_id,
        "transaction_id": event.transaction_id,
        "amount_usd_minor": event.amount_usd_minor,
        "debtor_hit": hits.get("debtor"),
        "creditor_hit": hits.get("creditor"),
        "match_score": max((one.match_score for one in event.screenings), default=None),
        "list_version": versions[-1] if versions else None,
        "kyc": event.kyc,
        "score": event.score,
        "factors": {one.name: one.points for one in event.factors},
    }
