"""What otp is told by its environment."""

from datetime import timedelta
from typing import Annotated, Self

from pydantic import Field, StringConstraints, ValidationInfo, field_validator, model_validator

from otp.domain import CODE_DIGITS
from service_runtime.settings import SecretKey, ServiceSettings

DEVELOPMENT_CODE = "789012"
FixedCode = Annotated[str, StringConstraints(pattern=rf"^(\d{{{CODE_DIGITS}}})?$")]


class Settings(ServiceSettings):
    """Settings of the otp service. Figures: contract.md, one-time codes."""

    otp_sealing_key: SecretKey = Field(validation_alias="OTP_SEALING_KEY_FILE")
    """Opens what gateway has sealed."""
    notification_sealing_key: SecretKey = Field(validation_alias="NOTIFICATION_SEALING_KEY_FILE")
    """Seals for notification."""
    code_key: SecretKey = Field(validation_alias="CODE_KEY_FILE")
    """Of the hash that is kept of a code."""
    code_life_s: int = Field(default=300, ge=1, le=600)
    code_attempts: int = Field(default=5, ge=1, le=5)
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
        if len({self.otp_sealing_key, self.notification_sealing_key, self.code_key}) < 3:
            raise ValueError(
                "OTP_SEALING_KEY_FILE, NOTIFICATION_SEALING_KEY_FILE and CODE_KEY_FILE"
                " must hold different keys"
            )
        return self

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
