"""Settings of the server of ops."""

from pydantic import Field, FilePath

from ops.check.examination import Limits
from service_runtime.settings import DatabaseSettings, KafkaSettings


class Settings(KafkaSettings, DatabaseSettings):
    """The server's environment; the command reads the same addresses separately."""

    port: int = Field(default=3030, ge=1, le=65535)
    admin_urls: dict[str, str] = Field(min_length=1)
    """Service → address of its admin routes."""
    internal_credential_file: FilePath
    check_every_s: float = Field(default=60.0, ge=1)
    check_whole_hour: int = Field(default=2, ge=0, le=23)
    """Hour of the day (UTC) at which services check their whole history."""
    unfinished_after_s: float = Field(default=60.0, gt=0)
    """Unfinished work that is older is a violation (I8)."""
    check_grace_s: float = Field(default=10.0, ge=0)
    """Seconds for which a mismatch is checked again before it counts."""

    def limits(self) -> Limits:
        """Return the limits of each check."""
        return Limits(self.unfinished_after_s, self.check_grace_s)
