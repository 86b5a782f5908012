"""Bodies of requests and responses."""

from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Any, Literal, Self
from uuid import UUID

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    model_validator,
)

from compliance.domain.conditions import MOST_CHARACTERS, ConditionError, compiled
from compliance.domain.payments import CheckedPayment
from compliance.domain.rules import Action, Severity, Status, action_of
from payment_schemas.currencies import UnknownRateError, usd_minor_of
from payment_schemas.events.risk import KycStatus
from payment_schemas.ids import AccountId, UserId
from payment_schemas.money import AmountMinor, Currency, amount_minor_of

MOST_PAYMENTS = 100
"""Of one call; the limit of risk's other look-ups, too."""
Text = Annotated[str, StringConstraints(min_length=1, max_length=100, pattern=r"^[^\x00-\x1f]*$")]
Country = Annotated[str, StringConstraints(pattern=r"^[A-Z]{2}$")]
MatchScore = Annotated[int, Field(ge=0, le=100)]
Sanctions = Literal["CLEAR", "HIT"]
Kyc = Literal["VERIFIED", "PENDING", "EXPIRED", "REJECTED"]
RULE_ID = r"^[A-Za-z][A-Za-z0-9_]{1,63}$"


def _condition(text: str) -> str:
    try:
        compiled(text)
    except ConditionError as error:
        raise ValueError(str(error)) from None
    return text


class Body(BaseModel):
    """A JSON object; unknown fields are refused."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)


class RuleBody(Body):
    """The next version of a rule, as credit-platform.md writes one."""

    jurisdiction: Annotated[str, StringConstraints(pattern=r"^(GLOBAL|EU|[A-Z]{2})$")]
    condition: Annotated[
        str, Field(min_length=1, max_length=MOST_CHARACTERS), AfterValidator(_condition)
    ]
    action: Annotated[
        Action, BeforeValidator(lambda given: action_of(given) if isinstance(given, str) else given)
    ]
    severity: Severity = "MEDIUM"
    active_from: date | None = Field(default=None, alias="activeFrom")
    active_to: date | None = Field(default=None, alias="activeTo")

    @model_validator(mode="after")
    def _ends_after_its_start(self) -> Self:
        if self.active_from and self.active_to and self.active_to < self.active_from:
            raise ValueError("activeTo: must not be before activeFrom")
        return self


class Transaction(Body):
    """The payment of a check."""

    type: Text = "TRANSFER"
    amount: Annotated[str, StringConstraints(max_length=20)]
    """Major units, as digits, for example `5200.00`."""
    currency: Currency = "USD"
    to_account: AccountId | None = Field(default=None, alias="toAccount")


class User(Body):
    """What is known of the payer."""

    jurisdiction: Country | None = None
    sanction_status: Sanctions | None = Field(default=None, alias="sanctionStatus")
    kyc_status: Kyc | None = Field(default=None, alias="kycStatus")


class Payee(Body):
    """What is known of the account that is paid."""

    sanction_status: Sanctions | None = Field(default=None, alias="sanctionStatus")


class Screened(Body):
    """The result of a screening."""

    match_score: MatchScore | None = Field(default=None, alias="matchScore")
    list_version: Text | None = Field(default=None, alias="listVersion")


class CheckBody(Body):
    """A transaction to check. What is left out is unknown: a rule that reads it fires."""

    user_id: UserId = Field(alias="userId")
    transaction: Transaction
    user: User = User()
    payee: Payee = Payee()
    screening: Screened = Screened()
    metadata: dict[Text, Text] = Field(default={}, max_length=20)

    def payment(self, at: datetime, rates: Mapping[str, Decimal]) -> CheckedPayment:
        """Return the payment; raise ValueError with the field that is wrong."""
        asked, currency = self.transaction, self.transaction.currency
        try:
            amount_minor = amount_minor_of(asked.amount, currency)
        except ValueError as error:
            raise ValueError(f"transaction.amount: {error}") from None
        try:
            usd_minor = usd_minor_of(amount_minor, currency, rates)
        except UnknownRateError as error:
            raise ValueError(f"transaction.{error}") from None
        return CheckedPayment(
            user_id=self.user_id,
            payee=asked.to_account,
            type=asked.type,
            amount_minor=amount_minor,
            amount_usd_minor=usd_minor,
            currency=currency,
            country=self.user.jurisdiction,
            at=at,
            debtor_hit=_hit(self.user.sanction_status),
            creditor_hit=_hit(self.payee.sanction_status),
            match_score=self.screening.match_score,
            list_version=self.screening.list_version,
            kyc=self.user.kyc_status,
        )


def _hit(status: Sanctions | None) -> bool | None:
    return None if status is None else status == "HIT"


class PaymentBody(Body):
    """A payment that risk has screened."""

    payment_id: UUID
    user_id: UserId
    to_account: AccountId
    amount_minor: AmountMinor
    currency: Currency
    country: Annotated[str, Field(max_length=64)] | None
    requested_at: AwareDatetime
    debtor_hit: bool
    creditor_hit: bool
    match_score: MatchScore
    list_version: Annotated[str, Field(max_length=64)]
    kyc: KycStatus

    def payment(self, rates: Mapping[str, Decimal]) -> CheckedPayment:
        """Return the payment; raise UnknownRateError for a currency without a rate."""
        return CheckedPayment(
            user_id=self.user_id,
            payee=self.to_account,
            amount_minor=self.amount_minor,
            amount_usd_minor=usd_minor_of(self.amount_minor, self.currency, rates),
            currency=self.currency,
            country=self.country,
            at=self.requested_at,
            debtor_hit=self.debtor_hit,
            creditor_hit=self.creditor_hit,
            match_score=self.match_score,
            list_version=self.list_version,
            kyc=self.kyc,
        )


class BatchBody(Body):
    """Payments that risk asks about; each once."""

    payments: Annotated[list[PaymentBody], Field(min_length=1, max_length=MOST_PAYMENTS)]


class MonitorBody(Body):
    """A user to put under monitoring: the rules read it as `user.monitored`."""

    user_id: UserId = Field(alias="userId")
    reason: Annotated[str, StringConstraints(min_length=1, max_length=500)]
    until: AwareDatetime | None = None


class ShownRule(BaseModel):
    """A version of a rule."""

    id: str
    version: int
    jurisdiction: str
    condition: str
    action: Action
    severity: Severity
    activeFrom: date | None  # noqa: N815 - as printed
    activeTo: date | None  # noqa: N815 - as printed
    active: bool
    """Whether it is in force today."""


class ShownRules(BaseModel):
    """The rules, by id, in their highest versions."""

    rules: list[ShownRule]


class ShownCheck(BaseModel):
    """The result of a check, by the names of credit-platform.md."""

    checkId: UUID  # noqa: N815 - as printed
    userId: str  # noqa: N815 - as printed
    paymentId: UUID | None  # noqa: N815 - as printed
    type: str
    status: Status
    appliedRules: list[dict[str, Any]]  # noqa: N815 - as printed
    results: list[dict[str, Any]]
    metadata: dict[str, str]
    createdAt: datetime  # noqa: N815 - as printed
    completedAt: datetime  # noqa: N815 - as printed
