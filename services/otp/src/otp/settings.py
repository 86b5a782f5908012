"""What otp is told by its environment."""

from datetime import timedelta
from typing import Annotated, Self

from pydantic import Field, StringConstraints, ValidationInfo, field_validator, model_validator

from otp.domain import CODE_DIGITS, Limits
from service_runtime.keys import SecretKeys
from service_runtime.settings import Listed, SecretText, ServiceSettings

DEVELOPMENT_CODE = "789012"
FixedCode = Annotated[str, StringConstraints(pattern=rf"^(\d{{{CODE_DIGITS}}})?$")]


class Settings(ServiceSettings):
    """Settings of the otp service. Figures: contract.md, one-time codes."""

    notification_urls: Listed = Field(min_length=1)
    """Every instance of notification, which knows who can receive a code."""
    internal_credential: SecretText = Field(validation_alias="INTERNAL_CREDENTIAL_FILE")
    otp_sealing_keys: SecretKeys = Field(validation_alias="OTP_SEALING_KEY_FILE")
    """Opens what gateway has sealed."""
    notification_sealing_keys: SecretKeys = Field(validation_alias="NOTIFICATION_SEALING_KEY_FILE")
    """Seals for notification."""
    code_keys: SecretKeys = Field(validation_alias="CODE_KEY_FILE")
    """Of the hash that is kept of a code."""
    code_life_s: int = Field(default=300, ge=1, le=600)
    code_attempts: int = Field(default=5, ge=1, le=5)
    live_challenges: int = Field(default=5, ge=1)
    """Of one user at once, over all payments."""
    challenges_per_hour: int = Field(default=10, ge=1)
    challenges_per_day: int = Field(default=30, ge=1)
    wrong_codes_in_a_row: int = Field(default=100, ge=1, le=100)
    """Of one user, over all payments; then the user's codes are locked. Source: NIST SP 800-63B."""
    fixed_code: FixedCode | None = None
    """The same code for everyone, in development only; empty: unpredictable codes there too."""

    @field_validator("fixed_code")
    @classmethod
    def _never_fixed_in_production(cls, code: str | None, info: ValidationInfo) -> str | None:
        if code and info.data.get("profile") != "dev":
            raise ValueError("must not be set with PROFILE=prod: codes must be unpredictable")
        return code

    @model_validator(mode="after")
    def _keys_differ(self) -> Self:
        rings = (self.otp_sealing_keys, self.notification_sealing_keys, self.code_keys)
        keys = [key for ring in rings for key in ring]
        if len(set(keys)) < len(keys):
            raise ValueError(
                "OTP_SEALING_KEY_FILE, NOTIFICATION_SEALING_KEY_FILE and CODE_KEY_FILE"
                " must hold different keys"
            )
        return self

    @property
    def limits(self) -> Limits:
        """What one user may have over all payments."""
        return Limits(
            self.live_challenges,
            self.challenges_per_hour,
            self.challenges_per_day,
            self.wrong_codes_in_a_row,
        )

    @property
    def code_life(self) -> timedelta:
        """How long a code can be used."""
        return timedelta(seconds=self.code_life_s)

    @property
    def code_for_everyone(self) -> str:
        """The fixed code; empty where codes are unpredictable."""
        if self.fixed_code is None and self.profile == "dev":
            return DEVELOPMENT_CODE
        return self.fixed_code or ""
