"""Risk's settings from the environment, and the policy that they define."""

from datetime import timedelta
from typing import Annotated, Self

from pydantic import BeforeValidator, Field, HttpUrl, model_validator

from payment_schemas.currencies import CurrencySettings
from risk.domain import AmountBand, Levels, Points, Policy, Severity
from service_runtime.keys import RotatedSecret, SecretKeys
from service_runtime.settings import ServiceSettings

FactorPoints = Annotated[int, Field(ge=0, le=100)]
Score = Annotated[int, Field(ge=0, le=101)]
RULE_POINTS: dict[Severity, int] = {"LOW": 5, "MEDIUM": 15, "HIGH": 30, "CRITICAL": 50}
FRAUD_POINTS = {5: 10, 20: 30, 50: 50}
AMOUNT_POINTS = {1_000: 20, 5_000: 45, 10_000: 50}


class Settings(ServiceSettings, CurrencySettings):
    """Settings of the risk service. Points and thresholds: contract.md, risk score."""

    mac_keys: SecretKeys = Field(validation_alias="MAC_CONFIRM_RISK_FILE")
    mac_compliance_keys: SecretKeys = Field(validation_alias="MAC_COMPLIANCE_RISK_FILE")
    """They authenticate what compliance announces of identity checks."""
    ofac_url: HttpUrl
    ofac_takes_names: bool = False
    """Whether OFAC_URL is the service screening, which alone can read sealed names."""
    internal_credential: RotatedSecret = Field(validation_alias="INTERNAL_CREDENTIAL_FILE")
    """Risk's secret at screening, compliance and fraud."""
    kyc_url: HttpUrl
    compliance_url: Annotated[HttpUrl | None, BeforeValidator(lambda given: given or None)] = None
    """Where the rules are asked; empty: they are not."""
    fraud_url: Annotated[HttpUrl | None, BeforeValidator(lambda given: given or None)] = None
    """Where the fraud models are asked; empty: they are not."""
    look_up_timeout_s: float = Field(default=3.0, gt=0, le=5)
    """Timeout of one call; a slice of retries must fit its lease."""
    amount_points: dict[Annotated[int, Field(ge=1)], FactorPoints] = AMOUNT_POINTS
    """Points by lower limit in whole USD; only the highest limit reached counts."""
    new_payee_points: FactorPoints = 40
    new_country_points: FactorPoints = 15
    velocity_points: FactorPoints = 10
    velocity_payments: int = Field(default=5, ge=0, le=1000)
    velocity_window_s: int = Field(default=600, ge=1, le=86_400)
    kyc_pending_points: FactorPoints = 30
    kyc_expired_points: FactorPoints = 20
    rule_points: dict[Severity, FactorPoints] = RULE_POINTS
    """Points of a rule of compliance that fired, by its severity."""
    fraud_points: dict[Annotated[int, Field(ge=1, le=100)], FactorPoints] = FRAUD_POINTS
    """Points by lowest probability of fraud, in per cent; only the highest reached counts."""
    model_unavailable_points: FactorPoints = 20
    """Points where the models are asked and do not answer."""
    medium_from: Score = 40
    high_from: Score = 70
    critical_from: Score = 95

    @model_validator(mode="after")
    def _levels_rise(self) -> Self:
        if not self.medium_from <= self.high_from <= self.critical_from:
            raise ValueError("MEDIUM_FROM, HIGH_FROM and CRITICAL_FROM must rise in this order")
        return self

    def policy(self) -> Policy:
        """Return the policy of the score."""
        return Policy(
            usd_rates=self.usd_rates,
            points=self._points(),
            levels=Levels(self.medium_from, self.high_from, self.critical_from),
            velocity_payments=self.velocity_payments,
            velocity_window=timedelta(seconds=self.velocity_window_s),
        )

    def _points(self) -> Points:
        return Points(
            amounts=[AmountBand(usd * 100, points) for usd, points in self.amount_points.items()],
            new_payee=self.new_payee_points,
            new_country=self.new_country_points,
            velocity=self.velocity_points,
            kyc={"pending": self.kyc_pending_points, "expired": self.kyc_expired_points},
            rules=self.rule_points,
            fraud=self.fraud_points,
            model_unavailable=self.model_unavailable_points,
        )
