"""Audit's settings from the environment."""

from pydantic import Field

from service_runtime.settings import ServiceSettings


class Settings(ServiceSettings):
    """Settings of the audit service."""

    batch_records: int = Field(default=2000, ge=1, le=5000)
    """Larger than in other services: the log may lag, and fewer commits cost less."""
    niceness: int = Field(default=5, ge=0, le=19)
    fetch_max_wait_ms: int = Field(default=500, ge=0, le=5000)
