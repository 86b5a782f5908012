"""The settings of sample, checked at start."""

from pydantic import Field

from service_runtime.settings import ServiceSettings
from service_runtime.storage import ObjectStoreSettings


class Settings(ServiceSettings, ObjectStoreSettings):
    """Settings of the sample service."""

    most_items_a_page: int = Field(default=100, ge=1, le=1000)
    most_document_bytes: int = Field(default=50_000_000, ge=1)
