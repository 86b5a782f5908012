"""The settings of sample, checked at start."""

from pydantic import Field

from service_runtime.settings import DatabaseSettings


class Settings(DatabaseSettings):
    """Settings of the sample service."""

    report_every_s: float = Field(default=60.0, gt=0)
    catch_up: int = Field(default=1, ge=1, le=1000)
    """How many of the reports that an outage has passed over are made, the latest ones."""
