"""Notification's settings from the environment."""

from typing import Self

from pydantic import Field, model_validator

from service_runtime.keys import SecretKeys
from service_runtime.settings import SecretText, ServiceSettings
from service_runtime.storage import KeyFolderSettings

DEVELOPMENT_ACCOUNT = "AC" + "0" * 32
URL = r"^https?://"


class Settings(KeyFolderSettings, ServiceSettings):
    """Settings of notification."""

    niceness: int = Field(default=10, ge=0, le=19)
    """Messages may be slow; payments have priority for the CPU."""
    fetch_max_wait_ms: int = Field(default=400, ge=0, le=5000)
    """Customers do not notice it, and each fetch reads all partitions."""
    twilio_url: str = Field(pattern=URL)
    """The SMS provider's API."""
    twilio_auth_token: SecretText = Field(validation_alias="TWILIO_AUTH_TOKEN_FILE")
    twilio_account_sid: str = Field(default=DEVELOPMENT_ACCOUNT, pattern=r"^AC[0-9a-f]{32}$")
    twilio_from: str = Field(default="+15005550006", pattern=r"^\+[1-9]\d{6,14}$")
    """The sender's number. The default is Twilio's test number."""
    twilio_callback_url: str = Field(default="https://countersign.example/deliveries", pattern=URL)
    """URL that Twilio calls with the status; the delivery's id is appended to its path."""
    sendgrid_url: str = Field(pattern=URL)
    """The e-mail provider's API."""
    sendgrid_api_key: SecretText = Field(validation_alias="SENDGRID_API_KEY_FILE")
    sendgrid_from: str = Field(default="payments@countersign.example", pattern=r"^[^@\s]+@[^@\s]+$")
    notification_sealing_keys: SecretKeys = Field(validation_alias="NOTIFICATION_SEALING_KEY_FILE")
    """Opens the codes that otp seals."""
    mac_compliance_keys: SecretKeys = Field(validation_alias="MAC_COMPLIANCE_NOTIFICATION_FILE")
    """They authenticate which persons were erased."""
    provider_threads: int = Field(default=16, ge=2, le=64)
    """Calls in flight at once, half of them per provider."""
    provider_timeout_s: float = Field(default=3.0, gt=0, le=3)
    """Timeout of one call. The limit keeps a slice within its lease of ten seconds."""
    retry_first_s: float = Field(default=1.0, gt=0, le=60)
    retry_most_s: float = Field(default=300.0, gt=0, le=3600)

    @model_validator(mode="after")
    def _no_development_account_in_production(self) -> Self:
        if self.profile == "prod" and self.twilio_account_sid == DEVELOPMENT_ACCOUNT:
            raise ValueError("TWILIO_ACCOUNT_SID must be set with PROFILE=prod")
        return self
