"""The settings of fraud, checked at start."""

from datetime import timedelta
from pathlib import Path

from pydantic import Field

from payment_schemas.currencies import CurrencySettings
from service_runtime.settings import ServiceSettings

SHIPPED = Path(__file__).parent / "models"


class Settings(ServiceSettings, CurrencySettings):
    """Settings of the fraud service."""

    models_folder: Path = SHIPPED
    """Folder of the models, each in a folder of its own with its manifest."""
    score_days: int = Field(default=60, ge=1)
    """Days for which scores are kept, with their features."""
    fraud_payment_days: int = Field(default=400, ge=60)
    """Days for which payments are kept, so that they can be reported."""
    drift_every_s: float = Field(default=30, gt=0, le=3600)
    """Seconds between two measurements of drift and calibration."""

    @property
    def score_life(self) -> timedelta:
        """How long scores are kept."""
        return timedelta(days=self.score_days)

    @property
    def payment_life(self) -> timedelta:
        """How long payments are kept."""
        return timedelta(days=self.fraud_payment_days)
