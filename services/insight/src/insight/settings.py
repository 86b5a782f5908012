"""The settings of insight, checked at start."""

from datetime import timedelta
from decimal import Decimal
from pathlib import Path

from pydantic import Field

from insight.domain.budget import Limits, Prices
from service_runtime.edge import EdgeSettings
from service_runtime.keys import RotatedSecret, SecretKeys
from service_runtime.settings import ServiceSettings

LEASE_BEYOND_S = 10.0
"""A row in progress is leased for the deadline and this time, in which it is saved."""


class Settings(EdgeSettings, ServiceSettings):
    """Settings of the insight service."""

    model_url: str = Field(default="", pattern=r"^(https?://.*)?$")
    """Empty: no model; templates explain, and questions are matched."""
    model_api_key: RotatedSecret = Field(validation_alias="MODEL_API_KEY_FILE")
    model_name: str = Field(default="stand-in", min_length=1, max_length=100)
    model_deadline_s: float = Field(default=8.0, gt=0, le=60)
    """Over all tries of one explanation."""
    model_try_s: float = Field(default=4.0, gt=0, le=30)
    model_tries: int = Field(default=3, ge=1, le=5)
    model_most_tokens: int = Field(default=300, ge=50, le=2000)
    model_open_s: float = Field(default=30.0, gt=0, le=600)
    """Time for which a model that fails is not called."""
    model_calls: int = Field(default=8, ge=1, le=64)
    """Explanations in progress at once."""
    model_tokens_a_day: int = Field(default=1_000_000, ge=0)
    model_budget_usd_a_day: Decimal = Field(default=Decimal("1.00"), ge=0, le=100_000)
    model_input_price_usd: Decimal = Field(default=Decimal("0.50"), ge=0, le=1000)
    """For a million tokens."""
    model_output_price_usd: Decimal = Field(default=Decimal("1.50"), ge=0, le=1000)
    mac_compliance_keys: SecretKeys = Field(validation_alias="MAC_COMPLIANCE_INSIGHT_FILE")
    """They authenticate which persons were erased."""
    explanation_days: int = Field(default=400, ge=1)
    questions_per_minute: int = Field(default=20, ge=1)
    documents_folder: Path = Path("docs")
    """Where the documents that chat searches are."""

    @property
    def limits(self) -> Limits:
        """What the model may use in a day."""
        return Limits.of(self.model_tokens_a_day, self.model_budget_usd_a_day)

    @property
    def prices(self) -> Prices:
        """What a token costs."""
        return Prices.of(self.model_input_price_usd, self.model_output_price_usd)

    @property
    def life(self) -> timedelta:
        """How long explanations and known payments are kept."""
        return timedelta(days=self.explanation_days)
