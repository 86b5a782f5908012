"""Settings of settlement, from the environment."""

from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from service_runtime.keys import RotatedSecrets, SecretKeys
from service_runtime.settings import ServiceSettings
from settlement.domain import BATCH_ROWS, Policy

PartnerName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{0,31}$")]


class PartnerProfile(BaseModel):
    """Settings of one partner; omitted fields have the common values."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    idempotent: bool = True
    """Whether the bank books a repeated UETR only once; if not, each transfer is sent once."""
    in_flight_s: float = Field(default=60.0, gt=0, le=86_400)
    """Seconds after sending within which the bank may still book a message."""
    enquiry_first_s: float | None = Field(default=None, gt=0, le=60)
    enquiry_most_s: float | None = Field(default=None, gt=0, le=3600)
    batch_rows: int = Field(default=BATCH_ROWS, ge=1, le=BATCH_ROWS)
    """Maximum number of transfers in one message."""
    concurrency: int | None = Field(default=None, ge=1, le=4)
    """Maximum number of concurrent messages."""


class Settings(ServiceSettings):
    """Settings of settlement."""

    fetch_max_wait_ms: int = Field(default=250, ge=0, le=5000)
    """A short wait gives larger batches, and so fewer calls to the bank."""
    mac_keys: SecretKeys = Field(validation_alias="MAC_CONFIRM_SETTLEMENT_FILE")
    partner_bank_url: str = Field(pattern=r"^https?://")
    """Base address of the partner banks; `/banks/<partner>` is appended."""
    partner_credentials: RotatedSecrets = Field(validation_alias="PARTNER_CREDENTIALS_FILE")
    """JSON: partner → bearer secret, or a list of secrets, of which the first is used."""
    partner_signing_keys: SecretKeys = Field(validation_alias="PARTNER_SIGNING_KEYS_FILE")
    """Sign what partner banks read from Kafka."""
    partner_routes: dict[str, PartnerName] = Field(
        default={"north-": "north-bank", "south-": "south-bank"}
    )
    """Prefix of the payee's account → partner; the longest prefix wins."""
    default_partner: PartnerName = "first-bank"
    partner_timeout_s: float = Field(default=3.0, gt=0, le=3)
    """Timeout of one call. The limit keeps a slice within its lease of ten seconds."""
    partner_concurrency: int = Field(default=2, ge=1, le=4)
    """Maximum number of concurrent messages to one partner."""
    enquiry_first_s: float = Field(default=1.0, gt=0, le=60)
    enquiry_most_s: float = Field(default=30.0, gt=0, le=3600)
    reconcile_every_s: float = Field(default=3600.0, ge=1, le=86_400)
    """Seconds between two readings of the statements of yesterday and today."""
    partner_profiles: dict[PartnerName, PartnerProfile] = Field(default={})
    """Partner → its own settings."""

    def profile_of(self, partner: str) -> PartnerProfile:
        """Return the profile of a partner."""
        return self.partner_profiles.get(partner, PartnerProfile())

    def policy(self, partner: str) -> Policy:
        """Return the policy of a partner."""
        profile = self.profile_of(partner)
        return Policy(
            first_s=profile.enquiry_first_s or self.enquiry_first_s,
            most_s=profile.enquiry_most_s or self.enquiry_most_s,
            is_idempotent=profile.idempotent,
            in_flight_s=profile.in_flight_s,
        )

    def concurrency(self, partner: str) -> int:
        """Return the maximum number of concurrent messages to a partner."""
        return self.profile_of(partner).concurrency or self.partner_concurrency

    @property
    def partners(self) -> tuple[str, ...]:
        """Every partner that the routing table names."""
        return tuple(sorted({*self.partner_routes.values(), self.default_partner}))

    @model_validator(mode="after")
    def _check_profiles(self) -> Self:
        if unknown := sorted(set(self.partner_profiles) - set(self.partners)):
            raise ValueError(f"PARTNER_PROFILES names an unknown partner: {', '.join(unknown)}")
        return self

    @model_validator(mode="after")
    def _check_secrets(self) -> Self:
        secrets = self.partner_credentials.get()
        if missing := [partner for partner in self.partners if partner not in secrets]:
            raise ValueError(f"PARTNER_CREDENTIALS_FILE has no secret for {', '.join(missing)}")
        return self
