"""Settings of confirm, from the environment."""

from datetime import timedelta
from typing import Literal

from pydantic import Field

from confirm.domain.payment import Policy
from payment_schemas.currencies import CurrencySettings
from service_runtime.keys import SecretKeys
from service_runtime.settings import ServiceSettings


class Settings(ServiceSettings, CurrencySettings):
    """Settings of confirm; the defaults are the contract's values."""

    port: int = Field(default=3010, ge=1, le=65535)
    gateway_mac_keys: SecretKeys = Field(validation_alias="MAC_GATEWAY_CONFIRM_FILE")
    risk_mac_keys: SecretKeys = Field(validation_alias="MAC_CONFIRM_RISK_FILE")
    otp_mac_keys: SecretKeys = Field(validation_alias="MAC_CONFIRM_OTP_FILE")
    settlement_mac_keys: SecretKeys = Field(validation_alias="MAC_CONFIRM_SETTLEMENT_FILE")
    challenge_at: int = Field(default=70, ge=0, le=101)
    decline_at: int | None = Field(default=None, ge=0, le=100)
    review_over_minor: int = Field(default=10_000_00, ge=0)
    review_over_score: int = Field(default=90, ge=0, le=100)
    challenge_again_after_s: float = Field(default=30, ge=0)
    state_timeout_s: float = Field(default=900, gt=0)
    replay_status: Literal[409] | None = None

    def policy(self) -> Policy:
        """Return the policy for decisions."""
        return Policy(
            challenge_at=self.challenge_at,
            decline_at=self.decline_at,
            review_over_minor=self.review_over_minor,
            review_over_score=self.review_over_score,
            challenge_again_after=timedelta(seconds=self.challenge_again_after_s),
            state_timeout=timedelta(seconds=self.state_timeout_s),
            currencies=self.currencies,
            replay_status=self.replay_status,
        )
