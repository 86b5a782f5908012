"""The settings of compliance, checked at start."""

import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
)
from pydantic_settings import NoDecode

from compliance.domain.filings import DEMONSTRATION, Filer
from compliance.domain.kyc import Validity
from payment_schemas.currencies import CurrencySettings
from service_runtime.edge import EdgeSettings
from service_runtime.keys import KeyRing, RotatedSecret, SecretKeys
from service_runtime.settings import ServiceSettings
from service_runtime.storage import SubjectKeySettings


def _zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        raise ValueError("must be a name of the time zone database") from None
    return name


def _json_or_none(text: object) -> object:
    return json.loads(text) if isinstance(text, str) and text else text or None


def _digits(count: str) -> StringConstraints:
    return StringConstraints(pattern=rf"^[0-9]{{{count}}}$")


Words = Annotated[str, StringConstraints(pattern=r"^\S+( \S+)*$", max_length=150)]


class FilerSettings(BaseModel):
    """The institution that files, as registered with FinCEN."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Words
    ein: Annotated[str, _digits("9")]
    transmitter_code: Annotated[str, StringConstraints(pattern=r"^[A-Z0-9]{8}$")]
    regulator: Annotated[str, StringConstraints(pattern=r"^[1234679]$")]
    street: Words
    city: Words
    state: Annotated[str, StringConstraints(pattern=r"^[A-Z]{2}$")]
    zip_code: Annotated[str, _digits("5,9")]
    phone: Annotated[str, _digits("10,16")]
    contact: Words


class Settings(EdgeSettings, SubjectKeySettings, ServiceSettings, CurrencySettings):
    """Settings of the compliance service."""

    mac_risk_keys: SecretKeys = Field(validation_alias="MAC_COMPLIANCE_RISK_FILE")
    mac_notification_keys: SecretKeys = Field(validation_alias="MAC_COMPLIANCE_NOTIFICATION_FILE")
    mac_insight_keys: SecretKeys = Field(validation_alias="MAC_COMPLIANCE_INSIGHT_FILE")
    mac_identity_keys: SecretKeys = Field(validation_alias="MAC_COMPLIANCE_IDENTITY_FILE")
    mac_charges_keys: SecretKeys = Field(validation_alias="MAC_COMPLIANCE_CHARGES_FILE")
    screening_sealing_keys: SecretKeys = Field(validation_alias="SCREENING_SEALING_KEY_FILE")
    """They seal payers' names for screening, as the gateway does payees'."""
    subject_lookup_keys: SecretKeys = Field(validation_alias="SUBJECT_LOOKUP_KEY_FILE")
    """Documents of one number are found by HMACs under them."""
    kyc_provider_url: str = Field(pattern=r"^https?://")
    """With the version: https://api.eu.onfido.com/v3.6."""
    kyc_provider_token: RotatedSecret = Field(validation_alias="KYC_PROVIDER_TOKEN_FILE")
    kyc_webhook_token: RotatedSecret = Field(validation_alias="KYC_WEBHOOK_TOKEN_FILE")
    kyc_provider_timeout_s: float = Field(default=10.0, gt=0, le=60)
    """Of one call of the provider; documents are sent within it."""
    kyc_poll_first_s: float = Field(default=5.0, gt=0, le=3600)
    kyc_poll_most_s: float = Field(default=3600.0, gt=0, le=86_400)
    """Between two questions about a check, where no webhook comes; the wait doubles."""
    kyc_give_up_h: float = Field(default=72.0, gt=0, le=720)
    """Then a person decides without the provider's result."""
    kyc_basic_days: int = Field(default=730, ge=1, le=3650)
    kyc_enhanced_days: int = Field(default=365, ge=1, le=3650)
    """For which a verification of the level holds, if no document expires before."""
    kyc_per_minute: int = Field(default=20, ge=1)
    """Writes of a person to identity checks, uploads included."""
    kyc_document_days: int = Field(default=1830, ge=1)
    """Days for which documents are kept after their upload. Source of the default: five years, 31
    CFR 1020.220(a)(3)(ii)."""
    page_workers: int = Field(default=1, ge=0, le=8)
    """Processes that draw uploaded documents anew; 0: this instance takes no uploads."""

    history_days: int = Field(default=400, ge=31)
    """Days for which what is known of a payment is kept, as history and for dry runs."""
    check_days: int = Field(default=5 * 366, ge=1)
    """Days for which checks are kept. Source of the default: 31 CFR 1010.430(d), five years."""
    case_days: int = Field(default=5 * 366, ge=1)
    """Days for which closed cases and their evidence are kept. Source: 31 CFR 1020.320(d)."""
    bank_time_zone: Annotated[str, AfterValidator(_zone)] = "America/New_York"
    """Name of the time zone in which business days and deadlines are counted."""
    filer: Annotated[FilerSettings | None, NoDecode, BeforeValidator(_json_or_none)] = None
    """JSON: the institution that files reports."""

    @property
    def erasure_keys(self) -> Mapping[str, KeyRing]:
        """The keys that authenticate an erasure, by the service that carries it out."""
        return {
            "notification": self.mac_notification_keys,
            "insight": self.mac_insight_keys,
            "identity": self.mac_identity_keys,
            "charges": self.mac_charges_keys,
        }

    @property
    def history_life(self) -> timedelta:
        """How long known payments are kept."""
        return timedelta(days=self.history_days)

    @property
    def check_life(self) -> timedelta:
        """How long checks are kept."""
        return timedelta(days=self.check_days)

    @property
    def case_life(self) -> timedelta:
        """How long closed cases are kept."""
        return timedelta(days=self.case_days)

    @property
    def zone(self) -> ZoneInfo:
        """The bank's time zone."""
        return ZoneInfo(self.bank_time_zone)

    @property
    def institution(self) -> Filer | None:
        """Who files; with PROFILE=dev an invented one, so that a draft can be looked at."""
        if self.filer is not None:
            return Filer(**self.filer.model_dump())
        return DEMONSTRATION if self.profile == "dev" else None

    @property
    def validity(self) -> Validity:
        """For how long verifications hold."""
        return Validity(timedelta(days=self.kyc_basic_days), timedelta(days=self.kyc_enhanced_days))
