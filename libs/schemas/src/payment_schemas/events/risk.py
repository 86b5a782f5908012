"""Risk assessments: requested, and their results."""

from datetime import datetime
from typing import ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field

from payment_schemas.events.base import ClientContext, Command, PaymentEvent
from payment_schemas.ids import AccountId
from payment_schemas.money import AmountMinor, Currency
from payment_schemas.sealed import Sealed

RiskLevel = Literal["low", "medium", "high", "critical"]
KycStatus = Literal["verified", "pending", "expired", "rejected"]
ScreenedBy = Literal["account", "name"]
Party = Literal["debtor", "creditor"]
Demand = Literal["code", "decline", "review"]
"""What the rules of compliance ask for a payment: a code, a decline, a review by a person."""


class AssessmentRequested(Command, PaymentEvent):
    """Score a new payment. Emitted by confirm; read by risk and audit."""

    topic: ClassVar = "risk.assessment-requested.v1"
    acting_readers: ClassVar = ("risk",)

    version: int
    amount_minor: AmountMinor
    currency: Currency
    from_account: AccountId
    to_account: AccountId
    requested_at: datetime
    expires_at: datetime
    """Past it the payment is declined and needs no result: risk skips the request."""
    sealed_to_name: Sealed | None = None
    """The payee's name, sealed for screening. None: it is not known, or from an older confirm."""
    context: ClientContext = ClientContext()


class Factor(BaseModel):
    """One contribution to a score."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    name: str
    points: int


class Screening(BaseModel):
    """The result of one party's sanctions screening."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    party: Party
    hit: bool
    list_version: str
    match_score: int = Field(ge=0, le=100)
    by: tuple[ScreenedBy, ...] = ("account",)
    """What was screened: the account alone where the party's name is not known."""
    list_name: str | None = None
    """Of a hit: the list that the entry is on. None: the provider does not name it."""
    entry: str | None = None
    """Of a hit: the entry's id on that list. Its names are not in the event."""
    excepted: tuple[str, ...] = ()
    """Entries (`list:id`) that the name would have hit, but for an exception by two people."""


class FraudScore(BaseModel):
    """A model's probability that a payment is a fraud."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    model_version: str
    probability_ppm: int = Field(ge=0, le=1_000_000)
    """Parts per million."""
    reasons: tuple[str, ...] = ()
    """Groups of features that speak for a fraud, the strongest first."""


class RiskAssessed(PaymentEvent):
    """The risk service has scored a payment. Emitted by risk; read by confirm and audit."""

    topic: ClassVar = "risk.assessed.v1"
    acting_readers: ClassVar = ("confirm",)

    score: int = Field(ge=0, le=100)
    """0 safe … 100 certain fraud."""
    level: RiskLevel
    amount_usd_minor: int = Field(ge=0)
    """The amount in US cents by risk's table of rates, for limits in USD."""
    factors: tuple[Factor, ...]
    """Every contribution, largest first."""
    sanctions: Literal["clear", "hit"]
    kyc: KycStatus
    screenings: tuple[Screening, ...]
    """Of both parties."""
    rules: tuple[Demand, ...] = ()
    """What the rules of compliance demand; the factors name those that fired."""
    fraud: FraudScore | None = None
    """None: no model is asked, or none has answered (factor `model_unavailable`)."""
