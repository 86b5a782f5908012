"""What the environment may say to the server of ops."""

from pydantic import Field, FilePath

from ops.check.examination import Limits
from service_runtime.settings import KafkaSettings


class Settings(KafkaSettings):
    """Settings of the server; the command reads the same addresses by itself."""

    port: int = Field(default=3030, ge=1, le=65535)
    admin_urls: dict[str, str] = Field(min_length=1)
    """Owner of state → address of its admin routes."""
    internal_credential_file: FilePath
    check_every_s: float = Field(default=60.0, ge=1)
    check_whole_hour: int = Field(default=2, ge=0, le=23)
    """Hour of the day (UTC) at which owners check all their history."""
    unfinished_after_s: float = Field(default=60.0, gt=0)
    """Unfinished work that is older is a violation (I8)."""
    check_grace_s: float = Field(default=10.0, ge=0)
    """What does not fit is looked at again for so long."""

    def limits(self) -> Limits:
        """Return how far each check goes."""
        return Limits(self.unfinished_after_s, self.check_grace_s)
