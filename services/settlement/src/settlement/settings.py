"""Settlement's settings from the environment."""

import json
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from service_runtime.settings import SecretText, ServiceSettings
from settlement.domain import BATCH_ROWS, Policy

PartnerName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{0,31}$")]


class PartnerProfile(BaseModel):
    """The profile of one partner; omitted fields have the common values."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    idempotent: bool = True
    """Whether it books a UETR once, however often it is sent; if not, it is sent once only."""
    in_flight_s: float = Field(default=60.0, gt=0, le=86_400)
    """How long after it was sent a message may still reach the bank's books."""
    enquiry_first_s: float | None = Field(default=None, gt=0, le=60)
    enquiry_most_s: float | None = Field(default=None, gt=0, le=3600)
    batch_rows: int = Field(default=BATCH_ROWS, ge=1, le=BATCH_ROWS)
    """Transfers in one message at most."""
    concurrency: int | None = Field(default=None, ge=1, le=4)
    """Messages on their way at once."""


class Settings(ServiceSettings):
    """Settings of settlement."""

    fetch_max_wait_ms: int = Field(default=20, ge=0, le=5000)
    """Transfers are not urgent by milliseconds; a larger batch needs fewer calls to the bank."""
    partner_bank_url: str = Field(pattern=r"^https?://")
    """Base address of the partner banks; `/banks/<partner>` is appended."""
    partner_credentials: SecretText = Field(validation_alias="PARTNER_CREDENTIALS_FILE")
    """JSON: partner → bearer secret."""
    partner_routes: dict[str, PartnerName] = Field(
        default={"north-": "north-bank", "south-": "south-bank"}
    )
    """Prefix of the payee's account → partner; the longest prefix wins."""
    default_partner: PartnerName = "first-bank"
    partner_timeout_s: float = Field(default=3.0, gt=0, le=3)
    """Of one call. The bound keeps a slice within its lease of ten seconds."""
    partner_concurrency: int = Field(default=2, ge=1, le=4)
    """Messages on their way to one partner at once."""
    enquiry_first_s: float = Field(default=1.0, gt=0, le=60)
    enquiry_most_s: float = Field(default=30.0, gt=0, le=3600)
    reconcile_every_s: float = Field(default=3600.0, ge=1, le=86_400)
    """How often the statements of yesterday and today are read."""
    partner_profiles: dict[PartnerName, PartnerProfile] = Field(default={})
    """Partner → what differs at it."""

    def profile_of(self, partner: str) -> PartnerProfile:
        """Return a partner's profile."""
        return self.partner_profiles.get(partner, PartnerProfile())

    def policy(self, partner: str) -> Policy:
        """Return a partner's policy."""
        profile = self.profile_of(partner)
        return Policy(
            first_s=profile.enquiry_first_s or self.enquiry_first_s,
            most_s=profile.enquiry_most_s or self.enquiry_most_s,
            is_idempotent=profile.idempotent,
            in_flight_s=profile.in_flight_s,
        )

    def concurrency(self, partner: str) -> int:
        """Return how many messages may be on their way to a partner at once."""
        return self.profile_of(partner).concurrency or self.partner_concurrency

    @property
    def partners(self) -> tuple[str, ...]:
        """Every partner that the routing table names."""
        return tuple(sorted({*self.partner_routes.values(), self.default_partner}))

    @property
    def secrets_by_partner(self) -> dict[str, str]:
        """The bearer secret of each partner."""
        return _secrets(self.partner_credentials)

    @model_validator(mode="after")
    def _profiles_are_of_partners(self) -> Self:
        if strangers := sorted(set(self.partner_profiles) - set(self.partners)):
            raise ValueError(f"PARTNER_PROFILES names no partner of ours: {', '.join(strangers)}")
        return self

    @model_validator(mode="after")
    def _everybody_has_a_secret(self) -> Self:
        secrets = _secrets(self.partner_credentials)
        if missing := [partner for partner in self.partners if not secrets.get(partner)]:
            raise ValueError(f"PARTNER_CREDENTIALS_FILE names no secret of {', '.join(missing)}")
        return self


def _secrets(document: str) -> dict[str, str]:
    try:
        secrets = json.loads(document)
    except json.JSONDecodeError:
        raise ValueError("PARTNER_CREDENTIALS_FILE must hold JSON") from None
    if not isinstance(secrets, dict) or not all(isinstance(one, str) for one in secrets.values()):
        raise ValueError("PARTNER_CREDENTIALS_FILE must map partners to text")
    return secrets
