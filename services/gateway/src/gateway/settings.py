"""What the environment may say to the gateway."""

from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Annotated, Self

from pydantic import BeforeValidator, Field, model_validator
from pydantic_settings import NoDecode

from service_runtime.settings import (
    CurrencySettings,
    KafkaSettings,
    Listed,
    SecretKey,
    SecretText,
    listed,
)


def _networks(text: object) -> object:
    parts = listed(text)
    return [ip_network(part) for part in parts] if isinstance(parts, list) else parts


class Settings(KafkaSettings, CurrencySettings):
    """The gateway's settings; the defaults are the contract's figures."""

    port: int = Field(default=3000, ge=1, le=65535)
    redis_url: str
    confirm_urls: Listed = Field(min_length=1)
    jwks_url: str
    token_issuer: str
    token_audience: str
    otp_sealing_key: SecretKey = Field(validation_alias="OTP_SEALING_KEY_FILE")
    code_tag_key: SecretKey = Field(validation_alias="CODE_TAG_KEY_FILE")
    internal_credential: SecretText = Field(validation_alias="INTERNAL_CREDENTIAL_FILE")
    rate_limit_per_minute: int = Field(default=10, ge=1)
    reads_per_minute: int = Field(default=60, ge=1)
    failed_authentications_per_minute: int = Field(default=100, ge=1)
    answer_within_s: float = Field(default=10.0, gt=0, le=60)
    command_expires_after_s: float = Field(default=900, gt=0)
    """How long after its reception a request may still be carried out: what a 202 promises."""
    waiting_requests: int = Field(default=1024, ge=1)
    """Requests that may wait for answers at once; more are told 503 at once, so that those who wait
    are answered. Two seconds' worth of what the services behind do; 500 a second is two cores'."""
    strict_idempotency_keys: bool = False
    refused_kids: Listed = Field(default_factory=list)
    """Signing keys that are refused at once, whatever the issuer publishes."""
    allow_rs256: bool = False
    trusted_proxies: Annotated[
        list[IPv4Network | IPv6Network], NoDecode, BeforeValidator(_networks)
    ] = Field(default_factory=list)
    """Networks whose `X-Client-Country` and `X-Forwarded-For` are believed."""
    dev_user: str = ""
    """Who a request without a token acts as; only in the development profile."""

    @model_validator(mode="after")
    def _no_shortcut_in_production(self) -> Self:
        if self.profile == "prod" and self.dev_user:
            raise ValueError("DEV_USER: must not be set with PROFILE=prod; a token is demanded")
        return self

    @property
    def anonymous_user(self) -> str | None:
        """Who a request without a token acts as, or None where a token is demanded."""
        return (self.dev_user or "usr-456") if self.profile == "dev" else None
