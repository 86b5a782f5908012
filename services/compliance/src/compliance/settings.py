"""The settings of compliance, checked at start."""

from datetime import timedelta

from pydantic import Field

from payment_schemas.currencies import CurrencySettings
from service_runtime.settings import ServiceSettings


class Settings(ServiceSettings, CurrencySettings):
    """Settings of the compliance service."""

    history_days: int = Field(default=400, ge=31)
    """Days for which what is known of a payment is kept, as history and for dry runs."""
    check_days: int = Field(default=5 * 366, ge=1)
    """Days for which checks are kept. Source of the default: 31 CFR 1010.430(d), five years."""

    @property
    def history_life(self) -> timedelta:
        """How long known payments are kept."""
        return timedelta(days=self.history_days)

    @property
    def check_life(self) -> timedelta:
        """How long checks are kept."""
        return timedelta(days=self.check_days)
