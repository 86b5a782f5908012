"""Settlement of confirmed payments at partner banks."""

from datetime import datetime
from typing import ClassVar, Literal

from payment_schemas.events.base import Command, PaymentEvent
from payment_schemas.ids import AccountId, Uetr
from payment_schemas.money import AmountMinor, Currency

SettlementStatus = Literal["SENT", "SETTLED", "REJECTED", "UNKNOWN", "RECONCILE"]


class SettlementRequested(Command, PaymentEvent):
    """Settle a confirmed payment. Emitted by confirm; read by settlement and audit."""

    topic: ClassVar = "settlement-queue"
    ce_type: ClassVar = "settlement.requested.v1"
    acting_readers: ClassVar = ("settlement",)

    uetr: Uetr
    amount_minor: AmountMinor
    currency: Currency
    debtor_account: AccountId
    creditor_account: AccountId
    confirmed_at: datetime


class SettlementUpdated(PaymentEvent):
    """A settlement has moved. Emitted by settlement; read by confirm, notification, audit."""

    topic: ClassVar = "settlement.updated.v1"
    acting_readers: ClassVar = ("confirm",)

    uetr: Uetr
    partner: str
    status: SettlementStatus
    version: int
    """Grows with every change; readers ignore a lower one."""
    amount_minor: AmountMinor
    currency: Currency
    to_account: AccountId
    confirmed_at: datetime
    reason: str | None = None
    bank_reference: str | None = None
