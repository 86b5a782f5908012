"""The risk score of a payment, with named factors. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from enum import Enum
from typing import Literal

from payment_schemas.currencies import CENTS_PLACES, usd_minor_of
from payment_schemas.events.risk import (
    Demand,
    Factor,
    FraudScore,
    KycStatus,
    RiskLevel,
    Screening,
)
from payment_schemas.ids import PaymentId
from payment_schemas.sealed import Sealed

MAX_SCORE = 100
PPM_A_PERCENT = 10_000
Severity = Literal["LOW", "MEDIUM", "HIGH", "CRITICAL"]
"""Of a rule of compliance."""
Trace = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class AssessmentRequest:
    """A payment to assess."""

    payment_id: PaymentId
    user_id: str
    transaction_id: str
    amount_minor: int
    currency: str
    from_account: str
    to_account: str
    country: str | None
    """ISO 3166-1 alpha-2 of the client; None if the edge does not know it."""
    requested_at: datetime
    expires_at: datetime
    sealed_to_name: Sealed | None = None
    """The payee's name, which screening alone can read; None: it is not known."""
    device: str | None = None
    """The fingerprint of the client's device; None: it is not known."""


@dataclass(frozen=True, slots=True)
class FiredRule:
    """A rule of compliance that fired for a payment, or could not be evaluated."""

    rule_id: str
    severity: Severity
    is_tag: bool
    evaluated: bool

    @property
    def name(self) -> str:
        """The name of its factor."""
        return f"rule_{self.rule_id}" + ("" if self.evaluated else "_unevaluated")


@dataclass(frozen=True, slots=True)
class Ruling:
    """What the rules demand for a payment, and those that fired."""

    demands: tuple[Demand, ...] = ()
    fired: tuple[FiredRule, ...] = ()


class Unavailable(Enum):
    """A model without a valid score: unavailable, too late, or with another reply."""

    MODEL = "model_unavailable"


@dataclass(frozen=True, slots=True)
class Evidence:
    """Results of the look-ups: the screenings and the state of the customer's documents."""

    screenings: tuple[Screening, Screening]
    """Of the debtor and the creditor."""
    kyc: KycStatus
    ruling: Ruling | None = None
    """None: the rules are not asked here."""
    fraud: FraudScore | Unavailable | None = None
    """None: no model is asked here."""

    @property
    def demands(self) -> tuple[Demand, ...]:
        """What the rules demand."""
        return self.ruling.demands if self.ruling else ()

    @property
    def fraud_score(self) -> FraudScore | None:
        """The model's score, where there is one."""
        return None if isinstance(self.fraud, Unavailable) else self.fraud


@dataclass(frozen=True, slots=True)
class History:
    """A user's successful payments, as far as they matter for a new one."""

    payee_known: bool
    country_known: bool
    recent_payments: int
    """Distinct payments within the policy's window."""


@dataclass(frozen=True, slots=True)
class AmountBand:
    """Points for amounts from a lower limit on."""

    from_usd_minor: int
    points: int


@dataclass(frozen=True, slots=True)
class Points:
    """Points of each factor. Source: contract.md, risk score."""

    amounts: Sequence[AmountBand]
    new_payee: int
    new_country: int
    velocity: int
    kyc: Mapping[KycStatus, int]
    rules: Mapping[Severity, int] = field(default_factory=dict)
    """Of a rule that fired; a tag has none."""
    fraud: Mapping[int, int] = field(default_factory=dict)
    """By lowest probability of fraud, in per cent; only the highest one reached counts."""
    model_unavailable: int = 0


@dataclass(frozen=True, slots=True)
class Levels:
    """The lowest score of each level; below `medium` the level is low."""

    medium: int
    high: int
    critical: int


@dataclass(frozen=True, slots=True)
class Policy:
    """The configuration of the score."""

    usd_rates: Mapping[str, Decimal]
    """USD for one major unit of a currency."""
    points: Points
    levels: Levels
    velocity_payments: int
    """More successful payments than this within the window get points."""
    velocity_window: timedelta


@dataclass(frozen=True, slots=True)
class Result:
    """A payment's score with all its inputs."""

    score: int
    level: RiskLevel
    amount_usd_minor: int
    factors: tuple[Factor, ...]
    evidence: Evidence

    @property
    def sanctions_hit(self) -> bool:
        """Whether a party is on the sanctions list."""
        return any(screening.hit for screening in self.evidence.screenings)


@dataclass(frozen=True, slots=True)
class Waiting:
    """A request whose look-ups have not succeeded yet."""

    request: AssessmentRequest
    due_at: datetime
    """When the look-ups are retried."""
    trace: Trace = ()


@dataclass(frozen=True, slots=True)
class Assessed:
    """A request with its result; final."""

    request: AssessmentRequest
    result: Result
    assessed_at: datetime


@dataclass(frozen=True, slots=True)
class Expired:
    """A request that expired before its look-ups succeeded; final."""

    request: AssessmentRequest


Assessment = Waiting | Assessed | Expired


def is_over(request: AssessmentRequest, now: datetime) -> bool:
    """Return whether the request has expired."""
    return now >= request.expires_at


def assess(
    request: AssessmentRequest, evidence: Evidence, history: History, policy: Policy
) -> Result:
    """Score a payment. Raises UnknownRateError if its currency has no rate."""
    usd_minor = usd_minor_of(request.amount_minor, request.currency, policy.usd_rates)
    unsorted = [
        *_amount_factors(usd_minor, policy.points.amounts),
        *_history_factors(request, history, policy),
        *_kyc_factors(evidence.kyc, policy.points.kyc),
        *_rule_factors(evidence.ruling or Ruling(), policy.points.rules),
        *_fraud_factors(evidence.fraud, policy.points),
    ]
    factors = tuple(sorted(unsorted, key=lambda factor: (-factor.points, factor.name)))
    score = min(MAX_SCORE, sum(factor.points for factor in factors))
    return Result(score, level_of(score, policy.levels), usd_minor, factors, evidence)


def level_of(score: int, levels: Levels) -> RiskLevel:
    """Return the level of a score."""
    if score >= levels.critical:
        return "critical"
    if score >= levels.high:
        return "high"
    return "medium" if score >= levels.medium else "low"


def _amount_factors(usd_minor: int, bands: Sequence[AmountBand]) -> Iterator[Factor]:
    """Yield only the highest band that the amount reaches."""
    reached = [band for band in bands if usd_minor >= band.from_usd_minor]
    if reached:
        band = max(reached, key=lambda one: one.from_usd_minor)
        name = f"amount_from_{band.from_usd_minor // 10**CENTS_PLACES}_usd"
        yield Factor(name=name, points=band.points)


def _history_factors(
    request: AssessmentRequest, history: History, policy: Policy
) -> Iterator[Factor]:
    if not history.payee_known:
        yield Factor(name="new_payee", points=policy.points.new_payee)
    if request.country is not None and not history.country_known:
        yield Factor(name="new_country", points=policy.points.new_country)
    if history.recent_payments > policy.velocity_payments:
        yield Factor(name="velocity", points=policy.points.velocity)


def _kyc_factors(status: KycStatus, points: Mapping[KycStatus, int]) -> Iterator[Factor]:
    if status in points:
        yield Factor(name=f"kyc_{status}", points=points[status])


def _rule_factors(ruling: Ruling, points: Mapping[Severity, int]) -> Iterator[Factor]:
    for rule in ruling.fired:
        yield Factor(name=rule.name, points=0 if rule.is_tag else points.get(rule.severity, 0))


def _fraud_factors(fraud: FraudScore | Unavailable | None, points: Points) -> Iterator[Factor]:
    if isinstance(fraud, Unavailable):
        yield Factor(name=fraud.value, points=points.model_unavailable)
    elif fraud is not None:
        reached = [one for one in points.fraud if fraud.probability_ppm >= one * PPM_A_PERCENT]
        if reached:
            yield Factor(name="fraud_model", points=points.fraud[max(reached)])
