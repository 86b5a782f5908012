"""Settings of the server of ops."""

from pydantic import Field, FilePath

from ops.check.examination import Limits
from service_runtime.settings import DatabaseSettings, KafkaSettings, RedisSettings


class Settings(KafkaSettings, DatabaseSettings, RedisSettings):
    """The server's environment; the command reads the same addresses separately."""

    port: int = Field(default=3030, ge=1, le=65535)
    admin_urls: dict[str, str] = Field(min_length=1)
    """Service → address of its admin routes."""
    internal_credential_file: FilePath
    gateway_url: str = ""
    ops_url: str = ""
    """Where the console reaches this server's own routes under `/admin`; empty: at its port."""
    issuer_url: str = ""
    identity_url: str = ""
    """Where clients and operators' roles are; empty: another provider has them."""
    console_url: str = Field(default="http://localhost:3030", pattern=r"^https?://[^/?#]+$")
    """Where operators open the console. Cookies are Secure unless it begins with `http://`."""
    console_client_id: str = "countersign-console"
    console_idle_minutes: int = Field(default=30, ge=1, le=720)
    console_life_hours: int = Field(default=10, ge=1, le=24)
    browser_urls: dict[str, str] = Field(default_factory=dict)
    """An issuer's address between processes → its address for browsers."""
    prometheus_url: str = ""
    jaeger_url: str = ""
    traces_url: str = ""
    lab_urls: dict[str, str] = Field(default_factory=dict)
    """Mock → address; used with PROFILE=dev alone."""
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
