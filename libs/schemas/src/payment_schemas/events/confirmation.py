"""Commands from the edge, their replies, and the outcomes of payments."""

from datetime import datetime
from typing import Any, ClassVar, Literal

from pydantic import Field

from payment_schemas.answers import DeclineReason, PublicSettlementStatus, PublicStatus, is_final
from payment_schemas.encrypted import MAX_ENCRYPTED_BYTES
from payment_schemas.events.base import ClientContext, Command, PaymentEvent, Reply
from payment_schemas.events.risk import Screening
from payment_schemas.ids import AccountId, RequestId, TransactionId, UserId
from payment_schemas.money import AmountMinor, Currency, Instrument, Money
from payment_schemas.sealed import Sealed


class ConfirmRequested(Command):
    """Confirm a payment for a client. Emitted by gateway; read by confirm."""

    topic: ClassVar = "payment.confirm-requested.v1"
    acting_readers: ClassVar = ("confirm",)

    request_id: RequestId
    reply_partition: int = Field(ge=0, lt=32)
    """Partition of `payment.confirm-answered.v1` that the sending gateway reads."""
    user_id: UserId
    transaction_id: TransactionId
    idempotency_key: str = Field(min_length=1, max_length=255)
    amount: str | None = None
    """Major units as the client wrote them, for example `5200.00`."""
    currency: Currency | None = None
    from_account: AccountId | None = None
    to_account: AccountId | None = None
    sealed_to_name: Sealed | None = None
    """The payee's name as the client wrote it, sealed for screening."""
    instrument: Instrument | None = None
    """None: the account's balance, or a field of an encrypted request."""
    branch: AccountId | None = None
    """Where cash was handed in."""
    sealed_code: Sealed | None = None
    """The one-time code, sealed for otp."""
    code_tag: str | None = None
    """HMAC of the code under gateway's key: confirm compares codes without seeing them."""
    encrypted: str | None = Field(default=None, max_length=MAX_ENCRYPTED_BYTES)
    """A compact JWE for confirm, with amount, accounts and code: those fields are None then."""
    expires_at: datetime | None = None
    """Past it the command does nothing: reception + 15 minutes. None: from an older gateway."""
    context: ClientContext = ClientContext()

    @property
    def key(self) -> str:
        """User and idempotency key: requests with equal keys are in one partition."""
        return f"{self.user_id}\x1f{self.idempotency_key}"

    @property
    def subject(self) -> str:
        """The request's id, because the payment may not exist."""
        return str(self.request_id)


class ConfirmAnswered(Reply):
    """Confirm's reply to one request. Emitted by confirm; read by the gateway that sent it."""

    topic: ClassVar = "payment.confirm-answered.v1"
    acting_readers: ClassVar = ("gateway",)

    request_id: RequestId
    reply_partition: int = Field(ge=0, lt=32)
    status: int
    body: str
    headers: tuple[tuple[str, str], ...] = ()

    @property
    def key(self) -> str:
        """The request's id."""
        return str(self.request_id)

    @property
    def partition(self) -> int | None:
        """The partition that the sending gateway reads."""
        return self.reply_partition


class PaymentConfirmed(PaymentEvent):
    """A payment was confirmed and its funds are held.

    Emitted by confirm; read by risk, notification, compliance, audit.
    """

    topic: ClassVar = "payment.confirmed.v1"
    acting_readers: ClassVar = ("risk",)

    version: int
    """The payment's version after the change."""
    amount_minor: AmountMinor
    currency: Currency
    from_account: AccountId
    to_account: AccountId
    reference: str
    settlement_method: str
    risk_score: int
    confirmed_at: datetime
    instrument: Instrument | None = None
    """None: the account's balance, or from an older confirm."""
    branch: AccountId | None = None
    """Where cash was handed in."""
    context: ClientContext = ClientContext()


class PaymentDeclined(PaymentEvent):
    """A payment was declined, finally. Emitted by confirm; read by notification and audit."""

    topic: ClassVar = "payment.declined.v1"

    version: int
    amount_minor: AmountMinor
    currency: Currency
    from_account: AccountId
    to_account: AccountId
    reason: DeclineReason
    risk_score: int | None = None
    context: ClientContext = ClientContext()


class PaymentStatusChanged(PaymentEvent):
    """What a payment's owner sees of it has changed; the record has all that the owner may see.

    Emitted by confirm; read by every gateway, for the open streams of its clients.
    """

    topic: ClassVar = "payment.status-changed.v1"

    sequence: int = Field(ge=1)
    """Grows with every change of the payment. Records may arrive in another order: a reader keeps
    the highest sequence of a payment and ignores records with a lower or equal one."""
    status: PublicStatus
    settlement_status: PublicSettlementStatus
    reference: str | None = None
    settlement_method: str | None = None
    reason: DeclineReason | None = None
    amount_minor: AmountMinor
    currency: Currency
    from_account: AccountId
    to_account: AccountId
    created_at: datetime
    occurred_at: datetime

    @property
    def version(self) -> int:
        """The sequence: two changes that have one cause are two events."""
        return self.sequence

    @property
    def is_final(self) -> bool:
        """Whether the payment can never change again."""
        return is_final(self.status, self.settlement_status)

    def public_view(self) -> dict[str, Any]:
        """Return the fields that the owner may see. Source: contract.md, GET /payment."""
        return {
            "transaction_id": self.transaction_id,
            "status": self.status,
            "reference": self.reference,
            "settlement_method": self.settlement_method,
            "settlement_status": self.settlement_status,
            "amount": Money(self.amount_minor, self.currency).major(),
            "currency": self.currency,
            "from_account": self.from_account,
            "to_account": self.to_account,
            "reason": self.reason,
            "created_at": self.created_at,
            "updated_at": self.occurred_at,
        }


class ReviewOpened(PaymentEvent):
    """A payment needs review by a person; it goes on, unless it is open and `screening` is a hit.

    Emitted by confirm, and by screening for a hit of a changed list; read by compliance and audit,
    and by confirm, which declines an open payment that a changed list hits.
    """

    topic: ClassVar = "review.opened.v1"

    reasons: tuple[Literal["amount", "risk"], ...]
    amount_minor: AmountMinor
    currency: Currency
    risk_score: int
    screening: Screening | None = None
    """The hit of a list that has changed since the assessment; None: the assessment's reasons."""
