"""Settings of a service that checks tokens and limits requests."""

from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Annotated, Self

from pydantic import BeforeValidator, Field, model_validator
from pydantic_settings import NoDecode

from service_runtime.settings import Listed, RedisSettings, listed

DEVELOPMENT_USER = "usr-456"


def _networks(text: object) -> object:
    parts = listed(text)
    return [ip_network(part) for part in parts] if isinstance(parts, list) else parts


class EdgeSettings(RedisSettings):
    """Where tokens come from, how many requests a client may make, which proxies are trusted."""

    jwks_url: str
    token_issuer: str
    token_audience: str
    second_token_issuer: str = ""
    """A second accepted issuer of users' tokens; empty: only the first one is accepted."""
    second_jwks_url: str = ""
    second_jwks_tls_ca: str = ""
    """File of the certificates that sign that of the second issuer, where it is a process of this
    system; empty: those of this machine."""
    second_subject_prefix: str = ""
    """What the subjects of the second issuer begin with, and of the first one never."""
    rate_limit_per_minute: int = Field(default=10, ge=1)
    reads_per_minute: int = Field(default=60, ge=1)
    failed_authentications_per_minute: int = Field(default=100, ge=1)
    refused_kids: Listed = Field(default_factory=list)
    """Signing keys that are refused at once, even while the issuer publishes them."""
    allow_rs256: bool = False
    trusted_proxies: Annotated[
        list[IPv4Network | IPv6Network], NoDecode, BeforeValidator(_networks)
    ] = Field(default_factory=list)
    """Networks whose `X-Forwarded-For` (and, at the gateway, `X-Client-Country`) is trusted."""
    dev_user: str = ""
    """User of a request without a token; only in the development profile."""

    @model_validator(mode="after")
    def _token_required_in_production(self) -> Self:
        if self.profile == "prod" and self.dev_user:
            raise ValueError("DEV_USER: must not be set with PROFILE=prod; a token is required")
        return self

    @model_validator(mode="after")
    def _second_issuer_is_another_one(self) -> Self:
        second = (self.second_token_issuer, self.second_jwks_url, self.second_subject_prefix)
        if any(second) and not all(second):
            raise ValueError(
                "SECOND_TOKEN_ISSUER, SECOND_JWKS_URL and SECOND_SUBJECT_PREFIX: set all, or none"
            )
        if all(second) and self.second_token_issuer == self.token_issuer:
            raise ValueError("SECOND_TOKEN_ISSUER: must differ from TOKEN_ISSUER")
        if all(second) and self.second_jwks_url == self.jwks_url:
            # A key of one issuer would sign tokens of the other one.
            raise ValueError("SECOND_JWKS_URL: must differ from JWKS_URL")
        return self

    @property
    def anonymous_user(self) -> str | None:
        """User of a request without a token, or None where a token is required."""
        return (self.dev_user or DEVELOPMENT_USER) if self.profile == "dev" else None
