"""The settings of screening, checked at start."""

from datetime import timedelta
from pathlib import Path
from typing import Self

from pydantic import Field, model_validator

from service_runtime.keys import SecretKeys
from service_runtime.settings import ServiceSettings

DEMONSTRATION = Path(__file__).parent / "lists"


class Settings(ServiceSettings):
    """Settings of the screening service."""

    port: int = Field(default=3050, ge=1, le=65535)
    lists_folder: Path | None = None
    """Lists and their manifests; None: the invented list of the demonstration."""
    lists_every_s: float = Field(default=30.0, ge=0.1, le=3600)
    """Seconds between two looks for a changed list."""
    payee_days: int = Field(default=400, ge=1, le=3660)
    """Days for which payments are kept, to screen their parties again when a list changes."""
    cached_results: int = Field(default=50_000, ge=0, le=1_000_000)
    sealing_keys: SecretKeys = Field(validation_alias="SCREENING_SEALING_KEY_FILE")
    """Keys that open the names that the gateway has sealed."""

    @model_validator(mode="after")
    def _no_invented_list_in_production(self) -> Self:
        if self.profile == "prod" and self.lists_folder is None:
            raise ValueError("LISTS_FOLDER: must be set with PROFILE=prod")
        return self

    @property
    def payee_life(self) -> timedelta:
        """How long payments are kept."""
        return timedelta(days=self.payee_days)

    @property
    def folder(self) -> Path:
        """The folder that lists are read from."""
        return self.lists_folder or DEMONSTRATION
