"""Bodies of requests and responses."""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints

from fraud.domain.answers import FraudType, Level, Recommendation
from fraud.domain.features import Observed
from payment_schemas.currencies import usd_minor_of
from payment_schemas.ids import AccountId, TransactionId, UserId
from payment_schemas.money import AmountMinor, Currency
from payment_schemas.sealed import Personal

MOST_PAYMENTS = 100
"""Of one call; the limit of risk's other look-ups, too."""
Device = Annotated[str, StringConstraints(max_length=200)]
Details = Annotated[str, StringConstraints(min_length=1, max_length=2000)]
Version = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9.-]{0,63}$")]
Action = Literal[
    "evaluate_transaction", "report_fraud", "get_fraud_score", "update_rules", "get_fraud_history"
]


class Body(BaseModel):
    """A JSON object; unknown fields are refused."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)


class PaymentBody(Body):
    """A payment that risk asks about."""

    payment_id: UUID
    user_id: UserId
    to_account: AccountId
    amount_minor: AmountMinor
    currency: Currency
    device: Device | None
    requested_at: AwareDatetime

    def observed(self, rates: Mapping[str, Decimal]) -> Observed:
        """Return the payment as features see it; raise UnknownRateError."""
        return Observed(
            int(self.requested_at.timestamp()),
            usd_minor_of(self.amount_minor, self.currency, rates),
            self.user_id,
            self.to_account,
            self.device,
        )


class BatchBody(Body):
    """Payments that risk asks about; each once."""

    payments: Annotated[list[PaymentBody], Field(min_length=1, max_length=MOST_PAYMENTS)]


class DetectBody(Body):
    """`detectFraud` of native-payments-api.md, with the payee beside its fields.

    A score uses customer, amount, currency, device and payee. What identifies a person is accepted
    as printed, and neither used nor kept.
    """

    action: Action = "evaluate_transaction"
    transaction_id: TransactionId | None = Field(default=None, alias="transactionId")
    customer_id: UserId | None = Field(default=None, alias="customerId")
    amount: AmountMinor | None = None
    """Minor units."""
    currency: Currency = "USD"
    payment_method: Literal["card", "ach", "wire"] | None = Field(
        default=None, alias="paymentMethod"
    )
    ip_address: Device | None = Field(default=None, alias="ipAddress")
    user_agent: Annotated[str, Field(max_length=1000)] | None = Field(
        default=None, alias="userAgent"
    )
    device_fingerprint: Device | None = Field(default=None, alias="deviceFingerprint")
    billing_address: dict[str, Any] | None = Field(default=None, alias="billingAddress")
    card_bin: Annotated[str, StringConstraints(pattern=r"^\d{6}$")] | None = Field(
        default=None, alias="cardBin"
    )
    email: Personal | None = None
    phone: Personal | None = None
    fraud_type: FraudType | None = Field(default=None, alias="fraudType")
    report_details: Details | None = Field(default=None, alias="reportDetails")
    rules: list[Any] | None = None
    to_account: AccountId | None = Field(default=None, alias="toAccount")


class ReportBody(Body):
    """A confirmed payment that was a fraud."""

    customer_id: UserId = Field(alias="customerId")
    transaction_id: TransactionId = Field(alias="transactionId")
    fraud_type: FraudType = Field(alias="fraudType")
    report_details: Details | None = Field(default=None, alias="reportDetails")


class StageBody(Body):
    """A step of a model towards deciding."""

    stage: Literal["CANARY", "LIVE"]
    share: Annotated[int, Field(ge=1, le=99)] = 10
    """Per cent of the users, of a canary."""


class Detected(BaseModel):
    """The response of `detectFraud`; what is unknown is null."""

    success: bool
    fraudScore: int | None = None  # noqa: N815 - as printed
    riskLevel: Level | None = None  # noqa: N815 - as printed
    recommendation: Recommendation | None = None
    ruleMatches: list[str] = []  # noqa: N815 - as printed
    reasonCodes: list[str] = []  # noqa: N815 - as printed
    fraudHistory: list[dict[str, Any]] = []  # noqa: N815 - as printed
    modelVersion: str | None = None  # noqa: N815 - as printed
    evaluationTime: int | None = None  # noqa: N815 - as printed
    """Milliseconds."""
    error: str | None = None
    timestamp: datetime
