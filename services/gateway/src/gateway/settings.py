"""Settings of the gateway."""

from pydantic import Field

from payment_schemas.currencies import CurrencySettings
from service_runtime.edge import EdgeSettings
from service_runtime.keys import SecretKeys
from service_runtime.settings import KafkaSettings, Listed, SecretKey, SecretText


class Settings(EdgeSettings, KafkaSettings, CurrencySettings):
    """The gateway's settings; the defaults are the contract's figures."""

    port: int = Field(default=3000, ge=1, le=65535)
    confirm_urls: Listed = Field(min_length=1)
    otp_sealing_keys: SecretKeys = Field(validation_alias="OTP_SEALING_KEY_FILE")
    code_tag_key: SecretKey = Field(validation_alias="CODE_TAG_KEY_FILE")
    internal_credential: SecretText = Field(validation_alias="INTERNAL_CREDENTIAL_FILE")
    answer_within_s: float = Field(default=10.0, gt=0, le=60)
    command_expires_after_s: float = Field(default=900, gt=0)
    """How long after its reception confirm may still carry out a request: the promise of a 202."""
    waiting_requests: int = Field(default=1024, ge=1)
    """Requests that may wait for a reply at once; more get 503, so that those waiting are served.
    Two seconds of the throughput of the services behind (500 requests/s on two cores)."""
    strict_idempotency_keys: bool = False
