"""The settings of sample, checked at start."""

from pydantic import Field

from service_runtime.settings import ServiceSettings


class Settings(ServiceSettings):
    """Settings of the sample service."""

    least_amount_minor: int = Field(default=1, ge=1)
    """Smaller payments are not recorded."""
