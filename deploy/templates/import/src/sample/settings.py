"""The settings of sample, checked at start."""

from pydantic import Field

from service_runtime.imports import PART_BYTES
from service_runtime.settings import ServiceSettings
from service_runtime.storage import ObjectStoreSettings


class Settings(ServiceSettings, ObjectStoreSettings):
    """Settings of the sample service."""

    poll_s: float = Field(default=1.0, gt=0, le=3600)
    part_bytes: int = Field(default=PART_BYTES, ge=64)
    """Of a file, in one transaction; also the longest line."""
