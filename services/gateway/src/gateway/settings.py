"""Settings of the gateway."""

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from payment_schemas.currencies import CurrencySettings
from service_runtime.edge import EdgeSettings
from service_runtime.keys import RotatedSecret, SecretKeys
from service_runtime.settings import KafkaSettings, Listed

PublicPath = Annotated[str, StringConstraints(pattern=r"^(/[a-z0-9._-]+)+(/\*(/[a-z0-9._-]+)+)?$")]


class Settings(EdgeSettings, KafkaSettings, CurrencySettings):
    """The gateway's settings; the defaults are the contract's figures."""

    port: int = Field(default=3000, ge=1, le=65535)
    confirm_urls: Listed = Field(min_length=1)
    settlement_url: str = Field(pattern=r"^https?://")
    otp_sealing_keys: SecretKeys = Field(validation_alias="OTP_SEALING_KEY_FILE")
    screening_sealing_keys: SecretKeys = Field(validation_alias="SCREENING_SEALING_KEY_FILE")
    """Keys that seal payees' names for screening."""
    code_tag_keys: SecretKeys = Field(validation_alias="CODE_TAG_KEY_FILE")
    confirm_mac_keys: SecretKeys = Field(validation_alias="MAC_GATEWAY_CONFIRM_FILE")
    internal_credential: RotatedSecret = Field(validation_alias="INTERNAL_CREDENTIAL_FILE")
    answer_within_s: float = Field(default=10.0, gt=0, le=60)
    command_expires_after_s: float = Field(default=900, gt=0)
    """How long after its reception confirm may still carry out a request: the promise of a 202."""
    waiting_requests: int = Field(default=1024, ge=1)
    """Requests that may wait for a reply at once; more get 503, so that those waiting are served.
    Two seconds of the throughput of the services behind (500 requests/s on two cores)."""
    strict_idempotency_keys: bool = False
    e2e: Literal["optional", "required"] | None = None
    """Whether confirm requests must be encrypted; not set: in production they must."""
    public_routes: dict[PublicPath, str] = Field(default_factory=dict)
    """Public path of another service → the addresses of its instances, comma separated. A segment
    `*` stands for any; such a path is that path alone."""
    upload_paths: Listed = Field(default_factory=list)
    """Public paths whose bodies may have 10 MB; of others 64 KiB."""
    streams: int = Field(default=10_000, ge=1, le=60_000)
    """Payments that clients may follow at once, over server-sent events and WebSockets."""
    streams_per_user: int = Field(default=10, ge=1)
    allowed_origins: Listed = Field(default=[])
    """Origins (`https://pay.example`) whose pages may open a WebSocket; empty: all."""
    wallet_folder: str = ""
    """Folder of the built wallet page; empty: none. Never served in production."""
    wallet_sms_url: str = ""
    """Where the mock of the SMS provider shows what it has received."""
    max_connections: int = Field(default=12_288, ge=16, le=65536)
    """Of other services 4,096: here each stream holds one."""

    @property
    def demands_encryption(self) -> bool:
        """Whether plain confirm requests are refused."""
        return (self.e2e or ("required" if self.profile == "prod" else "optional")) == "required"

    @property
    def has_wallet(self) -> bool:
        """Whether `/app` is served, and with it tokens for anybody: never in production."""
        return self.profile == "dev" and bool(self.wallet_folder)
