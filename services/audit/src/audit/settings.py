"""Audit's settings from the environment."""

from pydantic import Field

from service_runtime.keys import SecretKeys
from service_runtime.settings import ServiceSettings
from service_runtime.storage import ObjectStoreSettings


class Settings(ServiceSettings, ObjectStoreSettings):
    """Settings of the audit service."""

    batch_records: int = Field(default=2000, ge=1, le=5000)
    """Larger than in other services: the log may lag, and fewer commits cost less."""
    niceness: int = Field(default=5, ge=0, le=19)
    fetch_max_wait_ms: int = Field(default=500, ge=0, le=5000)
    audit_signing_keys: SecretKeys = Field(validation_alias="AUDIT_SIGNING_KEYS_FILE")
    """The first one signs checkpoints."""
    checkpoint_every_s: float = Field(default=60.0, ge=1, le=3600)
