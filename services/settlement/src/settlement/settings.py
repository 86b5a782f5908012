"""What the environment may say to settlement."""

import json
from typing import Annotated, Self

from pydantic import Field, StringConstraints, model_validator

from service_runtime.settings import SecretText, ServiceSettings

PartnerName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{0,31}$")]


class Settings(ServiceSettings):
    """Settings of settlement."""

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
    partner_lanes: int = Field(default=2, ge=1, le=4)
    """Messages on their way to one partner at once."""
    enquiry_first_s: float = Field(default=1.0, gt=0, le=60)
    enquiry_most_s: float = Field(default=30.0, gt=0, le=3600)

    @property
    def partners(self) -> tuple[str, ...]:
        """Every partner that the routing table names."""
        return tuple(sorted({*self.partner_routes.values(), self.default_partner}))

    @property
    def secrets_by_partner(self) -> dict[str, str]:
        """The bearer secret of each partner."""
        return _secrets(self.partner_credentials)

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
