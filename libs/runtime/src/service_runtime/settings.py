"""Settings of every service, read from the environment and validated at start.

Secrets are files (`NAME_FILE`), so that no environment or process list shows them.
"""

import re
import sys
from typing import Annotated, Literal, TypeVar

from pydantic import BaseModel, BeforeValidator, Field, TypeAdapter, ValidationError
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict, SettingsError

from service_runtime.keys import read_key, read_secret

_FIELD_NAMED = re.compile(r'field "(\w+)"')


class _Caller(BaseModel):
    """A caller of internal routes: the hash of its secret, and its scopes."""

    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    scopes: list[str]


_CALLERS = TypeAdapter(dict[str, _Caller])


def listed(text: object) -> object:
    """Return the parts of a comma-separated setting."""
    if not isinstance(text, str):
        return text
    return [part.strip() for part in text.split(",") if part.strip()]


Listed = Annotated[list[str], NoDecode, BeforeValidator(listed)]
"""A comma-separated list of texts."""
SecretText = Annotated[str, BeforeValidator(read_secret), Field(repr=False)]
"""The text of the file that the variable names."""
SecretKey = Annotated[
    bytes, BeforeValidator(lambda path: read_key(read_secret(path))), Field(repr=False)
]
"""32 bytes, as base64 in the file that the variable names."""


def _read_callers(path: object) -> str:
    text = read_secret(path)
    try:
        _CALLERS.validate_json(text)
    except ValidationError:
        raise ValueError('must hold JSON: {caller: {"sha256": hex, "scopes": [...]}}') from None
    return text


class HttpSettings(BaseSettings):
    """Settings of every process that serves HTTP."""

    model_config = SettingsConfigDict(extra="ignore", frozen=True)

    profile: Literal["dev", "prod"] = "prod"
    instance: int = Field(default=0, ge=0, lt=1000)
    """The number of this instance of the service; part of its Kafka identity."""
    host: str = "127.0.0.1"
    port: int = Field(ge=1, le=65535)
    niceness: int = Field(default=0, ge=0, le=19)
    """CPU priority of the process: its nice value."""
    max_connections: int = Field(default=4096, ge=16, le=65536)
    """Connections that may be open at once; others get 503."""
    head_within_s: float = Field(default=10.0, gt=0, le=60)
    """Time limit for a request's head, from the connection on."""
    body_within_s: float = Field(default=10.0, gt=0, le=60)
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    otlp_endpoint: str = ""
    """Address of the OpenTelemetry collector (gRPC); empty: no telemetry is exported."""
    trace_sample: float = Field(default=1.0, ge=0, le=1)
    internal_credentials: Annotated[str, BeforeValidator(_read_callers), Field(repr=False)] = Field(
        default="{}", validation_alias="INTERNAL_CREDENTIALS_FILE", validate_default=False
    )
    """JSON: caller → {"sha256": hex of its secret, "scopes": [...]}."""


class KafkaSettings(HttpSettings):
    """Settings of every process that connects to Kafka."""

    kafka_bootstrap_servers: str


class DatabaseSettings(HttpSettings):
    """Settings of every process with a database."""

    database_url: str
    database_password: SecretText = Field(validation_alias="DATABASE_PASSWORD_FILE")
    database_pool_size: int = Field(default=6, ge=2, le=32)


class ServiceSettings(KafkaSettings, DatabaseSettings):
    """Settings of every process that consumes topics into a database."""

    batch_records: int = Field(default=500, ge=1, le=5000)
    """Most records of one poll."""
    fetch_max_wait_ms: int = Field(default=0, ge=0, le=5000)
    """How long the broker may wait for more records before it responds; 0: not at all."""


S = TypeVar("S", bound=HttpSettings)


def load(settings: type[S]) -> S:
    """Read the settings from the environment; print each fault and exit with status 2."""
    try:
        return settings()
    except ValidationError as error:
        for fault in error.errors(include_url=False, include_input=False):
            name = "_".join(str(part) for part in fault["loc"]).upper() or "SETTINGS"
            sys.stderr.write(f"{name}: {fault['msg']}\n")
    except SettingsError as error:
        # Raised before validation, for a list or an object that is not JSON.
        name = (_FIELD_NAMED.search(str(error)) or ["", "SETTINGS"])[1].upper()
        sys.stderr.write(f"{name}: must be valid JSON\n")
    sys.stderr.write("Set the variables above (see .env.example), then start again.\n")
    raise SystemExit(2)
