"""The settings of identity, checked at start."""

from datetime import timedelta

from pydantic import Field

from identity.domain.families import SessionRules
from service_runtime.edge import EdgeSettings
from service_runtime.keys import SecretKeys
from service_runtime.settings import ServiceSettings
from service_runtime.storage import KeyFolderSettings


class Settings(EdgeSettings, KeyFolderSettings, ServiceSettings):
    """Settings of the identity service."""

    port: int = Field(default=3040, ge=1, le=65535)
    jwks_url: str = ""
    """Not read: identity verifies its own tokens by its own keys."""
    token_issuer: str = Field(min_length=1, max_length=76, pattern=r"^https?://[^?#]*[^/?#]$")
    """The address at which clients reach identity's public routes. With a subject it must fit into
    the actor of an audit record."""
    signing_keys: SecretKeys = Field(validation_alias="IDENTITY_SIGNING_FILE")
    email_lookup_keys: SecretKeys = Field(validation_alias="EMAIL_LOOKUP_KEY_FILE")
    mac_compliance_keys: SecretKeys = Field(validation_alias="MAC_COMPLIANCE_IDENTITY_FILE")
    """They authenticate which persons were erased."""
    token_life_s: int = Field(default=900, ge=60, le=900)
    session_idle_h: int = Field(default=168, ge=1, le=8760)
    session_life_h: int = Field(default=720, ge=1, le=8760)
    sessions_per_user: int = Field(default=20, ge=1, le=1000)
    refresh_repeat_within_s: int = Field(default=30, ge=0, le=300)
    password_min_characters: int = Field(default=8, ge=8, le=64)
    password_workers: int = Field(default=2, ge=1, le=64)
    logins_per_account: int = Field(default=10, ge=1)
    logins_per_address: int = Field(default=100, ge=1)
    registrations_per_address: int = Field(default=30, ge=1)

    @property
    def session_rules(self) -> SessionRules:
        """How long sessions live, and how many a user may have."""
        return SessionRules(
            idle=timedelta(hours=self.session_idle_h),
            life=timedelta(hours=self.session_life_h),
            most=self.sessions_per_user,
            repeat_within=timedelta(seconds=self.refresh_repeat_within_s),
        )
