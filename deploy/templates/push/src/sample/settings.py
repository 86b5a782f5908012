"""The settings of sample, checked at start."""

from pydantic import Field

from service_runtime.settings import KafkaSettings


class Settings(KafkaSettings):
    """Settings of the sample service."""

    most_streams: int = Field(default=1000, ge=1, le=10_000)
    """That a process keeps open at once."""
