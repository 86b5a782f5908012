"""The settings of sample, checked at start."""

from pydantic import Field

from service_runtime.settings import ServiceSettings


class Settings(ServiceSettings):
    """Settings of the sample service."""

    most_items_a_page: int = Field(default=100, ge=1, le=1000)
