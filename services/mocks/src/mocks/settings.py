"""Settings of the mocks, validated at start."""

from pathlib import Path
from typing import Literal

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from pydantic import Field, TypeAdapter, ValidationError, field_validator

from service_runtime.settings import HttpSettings, SecretText

_CREDENTIALS = TypeAdapter(dict[str, str])


class MockSettings(HttpSettings):
    """Settings of every mock."""

    profile: Literal["dev", "prod"] = Field(default="prod", validate_default=True)
    fault_slow_s: float = Field(default=5.0, ge=0, le=60)
    """Seconds that the fault `slow` waits."""
    fault_hold_s: float = Field(default=60.0, gt=0, le=600)
    """Seconds for which a request without a response is held, before a 504."""

    @field_validator("profile")
    @classmethod
    def _development_only(cls, profile: str) -> str:
        if profile == "prod":
            raise ValueError("mocks are for development; they refuse prod")
        return profile


class OfacSettings(MockSettings):
    """Settings of the sanctions screening mock."""

    port: int = Field(default=3021, ge=1, le=65535)
    sanctions_manifest: Path = Path(__file__).parent / "ofac/manifest.json"
    """The manifest of the sanctions list: its version, file and checksum."""


class KycSettings(MockSettings):
    """Settings of the identity mock."""

    port: int = Field(default=3022, ge=1, le=65535)


class TwilioSettings(MockSettings):
    """Settings of the SMS mock."""

    port: int = Field(default=3023, ge=1, le=65535)
    twilio_auth_token: SecretText = Field(validation_alias="TWILIO_AUTH_TOKEN_FILE")


class SendgridSettings(MockSettings):
    """Settings of the e-mail mock."""

    port: int = Field(default=3024, ge=1, le=65535)
    sendgrid_api_key: SecretText = Field(validation_alias="SENDGRID_API_KEY_FILE")


class PartnerBankSettings(MockSettings):
    """Settings of the partner banks."""

    port: int = Field(default=3025, ge=1, le=65535)
    mock_state: Path
    """The folder of the banks' ledger; created if missing."""
    partner_late_s: float = Field(default=10.0, ge=0, le=300)
    """Seconds for which a late payee's transfer stays pending."""
    partner_credentials: SecretText = Field(validation_alias="PARTNER_CREDENTIALS_FILE")
    """JSON: partner → credential of its clients."""

    @field_validator("partner_credentials")
    @classmethod
    def _object_of_secrets(cls, document: str) -> str:
        try:
            secrets_by_partner = _CREDENTIALS.validate_json(document)
        except ValidationError:
            raise ValueError("must hold a JSON object of partner to secret") from None
        if not all(secrets_by_partner.values()):
            raise ValueError("must hold no empty secret")
        return document

    @property
    def secrets_by_partner(self) -> dict[str, str]:
        """The credential of each bank."""
        return _CREDENTIALS.validate_json(self.partner_credentials)


class IssuerSettings(MockSettings):
    """Settings of the token issuer."""

    port: int = Field(default=3026, ge=1, le=65535)
    issuer_key: SecretText = Field(validation_alias="ISSUER_KEY_FILE")
    """An Ed25519 private key, PEM, PKCS#8."""
    token_issuer: str = Field(min_length=1)
    token_audience: str = Field(min_length=1)

    @field_validator("issuer_key")
    @classmethod
    def _signs(cls, pem: str) -> str:
        _private_key(pem)
        return pem

    @property
    def signing_key(self) -> Ed25519PrivateKey:
        """The key that tokens are signed with."""
        return _private_key(self.issuer_key)


def _private_key(pem: str) -> Ed25519PrivateKey:
    try:
        key = load_pem_private_key(pem.encode(), password=None)
    except (ValueError, TypeError):
        raise ValueError("must hold an unencrypted private key in PEM") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise ValueError("must hold an Ed25519 key")  # noqa: TRY004 - pydantic reports a ValueError
    return key
