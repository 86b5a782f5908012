"""The settings of compliance, checked at start."""

import json
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
from payment_schemas.currencies import CurrencySettings
from service_runtime.settings import ServiceSettings


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


class Settings(ServiceSettings, CurrencySettings):
    """Settings of the compliance service."""

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
