"""The settings of charges, checked at start."""

from pydantic import BaseModel, ConfigDict, Field

from charges.domain.charge import Policy
from charges.domain.routing import Limits
from payment_schemas.money import Currency
from service_runtime.edge import EdgeSettings
from service_runtime.keys import RotatedSecret, SecretKeys
from service_runtime.settings import SecretText, ServiceSettings

LEASE_BEYOND_S = 10.0
"""A row in progress is leased for the longest call and this time, in which it is saved."""


class ProviderLimits(BaseModel):
    """What a provider may be sent; omitted fields are no limit."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    is_on: bool = True
    currencies: frozenset[Currency] = frozenset()
    most_minor: int | None = Field(default=None, gt=0)
    most_cost_ppm: int | None = Field(default=None, gt=0)

    def limits(self) -> Limits:
        """Return the hard limits of routing."""
        return Limits(self.currencies, frozenset({"card"}), self.most_minor, self.most_cost_ppm)


class Settings(EdgeSettings, ServiceSettings):
    """Settings of the charges service."""

    stripe_url: str = Field(pattern=r"^https?://")
    stripe_api_key: RotatedSecret = Field(validation_alias="STRIPE_API_KEY_FILE")
    stripe_webhook_secret: RotatedSecret = Field(validation_alias="STRIPE_WEBHOOK_SECRET_FILE")
    adyen_url: str = Field(pattern=r"^https?://")
    adyen_api_key: RotatedSecret = Field(validation_alias="ADYEN_API_KEY_FILE")
    adyen_hmac_keys: SecretKeys = Field(validation_alias="ADYEN_HMAC_KEY_FILE")
    card_keys_file: str
    """Keys that open encrypted card data, EC P-256: encrypted PKCS#8."""
    vault_keys_file: str
    """Keys that card numbers are sealed under; one may be removed once no card is under it."""
    e2e_passphrase: SecretText = Field(validation_alias="E2E_PASSPHRASE_FILE")
    """Of the private keys in both files."""
    card_fingerprint_keys: SecretKeys = Field(validation_alias="CARD_FINGERPRINT_KEY_FILE")
    charge_sealing_keys: SecretKeys = Field(validation_alias="CHARGE_SEALING_KEY_FILE")
    """Customers' addresses are sealed under them until their charges have ended."""
    mac_compliance_keys: SecretKeys = Field(validation_alias="MAC_COMPLIANCE_CHARGES_FILE")
    """They authenticate which persons were erased."""
    charge_providers: dict[str, ProviderLimits] = Field(default={})
    """Provider → its limits."""
    provider_timeout_s: float = Field(default=5.0, gt=0, le=30)
    """Of one call of a provider."""
    provider_open_s: float = Field(default=10.0, gt=0, le=300)
    """Time for which a provider that fails is sent nothing."""
    provider_calls: int = Field(default=32, ge=1, le=256)
    """Calls in progress at once, of charges and of refunds, each."""
    charge_answer_within_s: float = Field(default=2.5, gt=0, le=3)
    """Then a request is answered 202; the gateway waits 3.5 s."""
    charge_enquiry_first_s: float = Field(default=0.5, gt=0, le=60)
    charge_enquiry_most_s: float = Field(default=60.0, gt=0, le=3600)
    """The wait between two enquiries doubles from the first to the most."""
    charge_in_flight_s: float = Field(default=60.0, gt=0, le=3600)
    """Time within which a sent request may still arrive at a provider."""
    charge_expires_s: float = Field(default=900.0, gt=0, le=86_400)
    """Then nothing is sent for the first time or again."""
    charges_per_minute: int = Field(default=100, ge=1)
    """Charges, refunds and other writes of a merchant. Source: native-payments-api.md."""
    unscored_most_minor: int = Field(default=10_000, ge=0)
    """Without a risk score, a charge up to this amount is captured and listed for review; a larger
    one is authorized and held until a person approves it."""

    @property
    def policy(self) -> Policy:
        """When providers are enquired, and when it is over."""
        return Policy(
            first_s=self.charge_enquiry_first_s,
            most_s=self.charge_enquiry_most_s,
            in_flight_s=self.charge_in_flight_s,
            expires_s=self.charge_expires_s,
        )
