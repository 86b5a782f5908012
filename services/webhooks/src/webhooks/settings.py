"""The settings of webhooks, checked at start."""

from typing import Self

from pydantic import Field, model_validator

from service_runtime.edge import EdgeSettings
from service_runtime.keys import SecretKeys
from service_runtime.settings import ServiceSettings

LEASE_BEYOND_S = 10.0
"""A row in progress is leased for the longest call and this time, in which it is saved."""


class Settings(EdgeSettings, ServiceSettings):
    """Settings of the webhooks service."""

    sealing_keys: SecretKeys = Field(validation_alias="WEBHOOK_SEALING_KEY_FILE")
    webhook_local_targets: bool = False
    """Endpoints may be on this machine, and by http; only in the development profile."""
    webhook_timeout_s: float = Field(default=10.0, gt=0, le=20)
    """Of one call, from the look-up of the name to the status."""
    webhook_calls: int = Field(default=64, ge=2, le=512)
    """Calls in progress at once, of the fast lanes and of all others, each."""
    endpoints_per_user: int = Field(default=10, ge=1, le=100)
    delivery_days: int = Field(default=30, ge=8, le=365)
    """How long deliveries are kept: longer than the topic keeps its records (7 days), which would
    otherwise be sent again when they are read again."""

    @model_validator(mode="after")
    def _local_targets_in_development_alone(self) -> Self:
        if self.webhook_local_targets and self.profile == "prod":
            raise ValueError("WEBHOOK_LOCAL_TARGETS: must not be set with PROFILE=prod")
        return self
