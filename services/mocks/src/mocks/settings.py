"""Settings of the mocks, validated at start."""

from pathlib import Path
from typing import Annotated, Literal

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from pydantic import Field, field_validator

from payment_schemas.scopes import SCOPES
from service_runtime.keys import RotatedSecrets, SecretKeys
from service_runtime.settings import HttpSettings, KafkaSettings, Listed, SecretText

EVERY_SCOPE = " ".join(SCOPES)


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
    partner_credentials: RotatedSecrets = Field(validation_alias="PARTNER_CREDENTIALS_FILE")
    """JSON: partner → credential of its clients, or a list of them."""


class SouthBankSettings(MockSettings, KafkaSettings):
    """Settings of the partner bank on Kafka."""

    port: int = Field(default=3027, ge=1, le=65535)
    mock_state: Path
    """The folder of the banks' ledger; created if missing."""
    partner_late_s: float = Field(default=10.0, ge=0, le=300)
    """Seconds for which a late payee's transfer stays pending."""
    partner_key: SecretKeys = Field(validation_alias="PARTNER_KEY_FILE")
    """The keys that the bank signs with."""
    partner_jwks_url: str
    """Where Countersign publishes the keys that it signs with."""


class ModelSettings(MockSettings):
    """Settings of the language model's stand-in."""

    port: int = Field(default=3020, ge=1, le=65535)
    model_api_key: SecretText = Field(validation_alias="MODEL_API_KEY_FILE")


class WebhookSettings(MockSettings):
    """Settings of providers that send webhooks."""

    provider_webhook_url: str = Field(default="", pattern=r"^(https?://.*)?$")
    """Where webhooks are sent; empty: nowhere."""
    webhook_late_s: float = Field(default=3.0, ge=0, le=600)
    """Seconds by which the fault `webhook_late` delays a webhook."""


class StripeSettings(WebhookSettings):
    """Settings of the Stripe mock."""

    port: int = Field(default=3028, ge=1, le=65535)
    stripe_api_key: SecretText = Field(validation_alias="STRIPE_API_KEY_FILE")
    stripe_webhook_secret: SecretText = Field(validation_alias="STRIPE_WEBHOOK_SECRET_FILE")


class AdyenSettings(WebhookSettings):
    """Settings of the Adyen mock."""

    port: int = Field(default=3029, ge=1, le=65535)
    adyen_api_key: SecretText = Field(validation_alias="ADYEN_API_KEY_FILE")
    adyen_hmac_key: SecretKeys = Field(validation_alias="ADYEN_HMAC_KEY_FILE")


class OnfidoSettings(WebhookSettings):
    """Settings of the mock of the identity provider."""

    port: int = Field(default=3034, ge=1, le=65535)
    kyc_provider_token: SecretText = Field(validation_alias="KYC_PROVIDER_TOKEN_FILE")
    kyc_webhook_token: SecretText = Field(validation_alias="KYC_WEBHOOK_TOKEN_FILE")
    check_takes_s: float = Field(default=1.0, ge=0, le=600)
    """Seconds until a check is complete."""
    check_slow_s: float = Field(default=20.0, ge=0, le=3600)
    """The same for an applicant whose last name is Slow."""


class IssuerSettings(MockSettings):
    """Settings of the token issuer."""

    port: int = Field(default=3026, ge=1, le=65535)
    issuer_key: SecretText = Field(validation_alias="ISSUER_KEY_FILE")
    """An Ed25519 private key, PEM, PKCS#8."""
    token_issuer: str = Field(min_length=1)
    token_audience: str = Field(min_length=1)
    operators: dict[Annotated[str, Field(pattern=r"^[a-z][a-z0-9._-]{0,31}$")], str] = Field(
        default={"alice": EVERY_SCOPE, "bob": EVERY_SCOPE, "carol": "ops.read"}, min_length=1
    )
    """Development operator → scopes, separated by spaces."""
    operator_redirects: Listed = Field(
        default=[f"http://{host}:3030/signed-in" for host in ("localhost", "127.0.0.1")]
    )
    """Where a browser may be returned to after sign-in."""
    device_poll_s: int = Field(default=5, ge=0, le=60)
    """Shortest time between two polls of one device. Source of the default: RFC 8628."""

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
