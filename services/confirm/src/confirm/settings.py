"""Settings of confirm, from the environment."""

from datetime import timedelta
from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, InstanceOf, model_validator

from confirm.domain.payment import Policy
from payment_schemas.currencies import CurrencySettings
from service_runtime.keys import SecretFile, SecretKeys
from service_runtime.settings import SecretText, ServiceSettings


def _text_of(path: object) -> SecretFile[str]:
    return SecretFile(path, str)


class Settings(ServiceSettings, CurrencySettings):
    """Settings of confirm; the defaults are the contract's values."""

    port: int = Field(default=3010, ge=1, le=65535)
    gateway_mac_keys: SecretKeys = Field(validation_alias="MAC_GATEWAY_CONFIRM_FILE")
    risk_mac_keys: SecretKeys = Field(validation_alias="MAC_CONFIRM_RISK_FILE")
    otp_mac_keys: SecretKeys = Field(validation_alias="MAC_CONFIRM_OTP_FILE")
    settlement_mac_keys: SecretKeys = Field(validation_alias="MAC_CONFIRM_SETTLEMENT_FILE")
    otp_sealing_keys: SecretKeys = Field(validation_alias="OTP_SEALING_KEY_FILE")
    screening_sealing_keys: SecretKeys = Field(validation_alias="SCREENING_SEALING_KEY_FILE")
    """Keys that seal payees' names of encrypted requests for screening."""
    code_tag_keys: SecretKeys = Field(validation_alias="CODE_TAG_KEY_FILE")
    e2e_ec_keys_file: str = ""
    """Keys that open encrypted requests, EC P-256; its private keys are encrypted PKCS#8."""
    e2e_rsa_keys_file: str = ""
    """The same for RSA."""
    e2e_passphrase: SecretText = Field(validation_alias="E2E_PASSPHRASE_FILE")
    """Of the private keys in both files."""
    e2e_keys_at: Literal["files", "pkcs11", "transit"] = "files"
    """Where the private keys are: with the others, the files have the public ones."""
    e2e_workers: int = Field(default=2, ge=1, le=32)
    """Threads that open requests; a batch is split over them."""
    pkcs11_module: str = ""
    """The file of the token's library."""
    pkcs11_token: str = ""
    """The token's label; its keys have their ids as labels."""
    pkcs11_pin: SecretText = Field(
        default="", validation_alias="PKCS11_PIN_FILE", validate_default=False
    )
    transit_url: str = Field(default="", pattern=r"^(https?://.*)?$")
    """Vault's transit engine: https://vault:8200/v1/transit."""
    transit_tls_ca: str = ""
    """File of the certificates that sign Vault's; empty: those of the system."""
    transit_token: Annotated[
        InstanceOf[SecretFile[str]] | None, BeforeValidator(_text_of), Field(repr=False)
    ] = Field(default=None, validation_alias="TRANSIT_TOKEN_FILE", validate_default=False)
    challenge_at: int = Field(default=70, ge=0, le=101)
    decline_at: int | None = Field(default=None, ge=0, le=100)
    review_over_minor: int = Field(default=10_000_00, ge=0)
    review_over_score: int = Field(default=90, ge=0, le=100)
    challenge_again_after_s: float = Field(default=30, ge=0)
    state_timeout_s: float = Field(default=900, gt=0)
    replay_status: Literal[409] | None = None

    @model_validator(mode="after")
    def _keys_can_be_reached(self) -> Self:
        needed = {
            "files": (),
            "pkcs11": ("pkcs11_module", "pkcs11_token", "pkcs11_pin"),
            "transit": ("transit_url", "transit_token"),
        }[self.e2e_keys_at]
        missing = [name for name in needed if not getattr(self, name)]
        if missing:
            raise ValueError(f"{missing[0].upper()}: needed with E2E_KEYS_AT={self.e2e_keys_at}")
        return self

    @property
    def e2e_key_files(self) -> list[str]:
        """The files of keys that there are, those that clients should prefer first."""
        return [path for path in (self.e2e_ec_keys_file, self.e2e_rsa_keys_file) if path]

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
