"""Settings of otp, from the environment."""

from datetime import timedelta
from typing import Annotated, Self

from pydantic import Field, StringConstraints, ValidationInfo, field_validator, model_validator

from otp.domain import CODE_DIGITS, Limits
from service_runtime.keys import RotatedSecret, SecretKeys
from service_runtime.settings import Listed, ServiceSettings

DEVELOPMENT_CODE = "789012"
FixedCode = Annotated[str, StringConstraints(pattern=rf"^(\d{{{CODE_DIGITS}}})?$")]


class Settings(ServiceSettings):
    """Settings of otp. Source of the defaults: contract.md, one-time codes."""

    notification_urls: Listed = Field(min_length=1)
    """Every instance of notification; queried for who can receive a code."""
    internal_credential: RotatedSecret = Field(validation_alias="INTERNAL_CREDENTIAL_FILE")
    otp_sealing_keys: SecretKeys = Field(validation_alias="OTP_SEALING_KEY_FILE")
    """Keys that open codes sealed by gateway."""
    notification_sealing_keys: SecretKeys = Field(validation_alias="NOTIFICATION_SEALING_KEY_FILE")
    """Keys that seal codes for notification."""
    mac_keys: SecretKeys = Field(validation_alias="MAC_CONFIRM_OTP_FILE")
    code_keys: SecretKeys = Field(validation_alias="CODE_KEY_FILE")
    """Keys of the stored hash of a code."""
    code_life_s: int = Field(default=300, ge=1, le=600)
    code_attempts: int = Field(default=5, ge=1, le=5)
    live_challenges: int = Field(default=5, ge=1)
    """Maximum of one user, over all payments."""
    challenges_per_hour: int = Field(default=10, ge=1)
    challenges_per_day: int = Field(default=30, ge=1)
    wrong_codes_in_a_row: int = Field(default=100, ge=1, le=100)
    """Wrong codes over all payments that lock a user's codes. Source: NIST SP 800-63B."""
    fixed_code: FixedCode | None = None
    """One code for every challenge, in development only; empty: random codes."""

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
        """The limits of one user, over all payments."""
        return Limits(
            self.live_challenges,
            self.challenges_per_hour,
            self.challenges_per_day,
            self.wrong_codes_in_a_row,
        )

    @property
    def code_life(self) -> timedelta:
        """How long a code is valid."""
        return timedelta(seconds=self.code_life_s)

    @property
    def code_for_everyone(self) -> str:
        """The fixed code; empty for random codes."""
        if self.fixed_code is None and self.profile == "dev":
            return DEVELOPMENT_CODE
        return self.fixed_code or ""
