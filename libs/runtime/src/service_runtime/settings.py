"""Settings of every service, read from the environment and validated at start.

Secrets are files (`NAME_FILE`), so that no environment or process list shows them.
"""

import re
import sys
from typing import Annotated, Literal, Self, TypeVar

from pydantic import BeforeValidator, Field, InstanceOf, ValidationError, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict, SettingsError

from service_runtime.brokers import Brokers
from service_runtime.credentials import Callers, callers_of
from service_runtime.keys import Password, PasswordFile, SecretFile, read_secret
from service_runtime.production import faults_of
from service_runtime.tls import Certificates

_FIELD_NAMED = re.compile(r'field "(\w+)"')


def listed(text: object) -> object:
    """Return the parts of a comma-separated setting."""
    if not isinstance(text, str):
        return text
    return [part.strip() for part in text.split(",") if part.strip()]


Listed = Annotated[list[str], NoDecode, BeforeValidator(listed)]
"""A comma-separated list of texts."""
SecretText = Annotated[str, BeforeValidator(read_secret), Field(repr=False)]
"""The text of the file that the variable names."""


def _read_callers(path: object) -> SecretFile[Callers]:
    return SecretFile(path, callers_of)


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
    internal_credentials: Annotated[
        InstanceOf[SecretFile[Callers]] | None, BeforeValidator(_read_callers), Field(repr=False)
    ] = Field(default=None, validation_alias="INTERNAL_CREDENTIALS_FILE", validate_default=False)
    """JSON: caller → {"sha256": hex of its secret, "scopes": [...]}."""
    operator_issuer: str = ""
    """The only accepted issuer of operators' tokens; empty: no operator is admitted."""
    operator_audience: str = "countersign-operators"
    operator_jwks_url: str = ""

    http_tls_certificate: str = ""
    """File of this process' key, certificate and chain; empty: plain HTTP. Read again when it
    changes."""
    http_tls_ca: str = ""
    """File of the certificates that sign those of other processes."""

    def certificates(self) -> Certificates | None:
        """Return what HTTP between processes is encrypted with; None: nothing."""
        if not self.http_tls_certificate:
            return None
        return Certificates(self.http_tls_certificate, self.http_tls_ca)

    @model_validator(mode="after")
    def _certificates_can_be_read(self) -> Self:
        if bool(self.http_tls_certificate) != bool(self.http_tls_ca):
            raise ValueError("HTTP_TLS_CERTIFICATE and HTTP_TLS_CA: set both, or neither")
        try:
            self.certificates()
        except ValueError as error:
            raise ValueError(f"HTTP_TLS_CERTIFICATE, HTTP_TLS_CA: {error}") from None
        return self

    @model_validator(mode="after")
    def _operators_have_an_audience_of_their_own(self) -> Self:
        if bool(self.operator_issuer) != bool(self.operator_jwks_url):
            raise ValueError("OPERATOR_ISSUER and OPERATOR_JWKS_URL: set both, or neither")
        if self.operator_audience == getattr(self, "token_audience", ""):
            # One token would be a user's and an operator's.
            raise ValueError("OPERATOR_AUDIENCE: must differ from TOKEN_AUDIENCE")
        return self


class KafkaSettings(HttpSettings):
    """Settings of every process that connects to Kafka."""

    kafka_bootstrap_servers: str
    kafka_user: str = ""
    """The principal that the process authenticates as."""
    kafka_password: PasswordFile = Field(
        default=Password(), validation_alias="KAFKA_PASSWORD_FILE", validate_default=False
    )
    kafka_tls_ca: str = ""
    """File of the certificates that sign the brokers' certificates; empty: no TLS."""

    @property
    def brokers(self) -> Brokers:
        """What a client of Kafka connects with."""
        return Brokers(
            self.kafka_bootstrap_servers, self.kafka_user, self.kafka_password, self.kafka_tls_ca
        )


class DatabaseSettings(HttpSettings):
    """Settings of every process with a database."""

    database_url: str
    database_password: PasswordFile = Field(validation_alias="DATABASE_PASSWORD_FILE")
    database_pool_size: int = Field(default=6, ge=2, le=32)


class RedisSettings(HttpSettings):
    """Settings of every process that connects to Redis."""

    redis_url: str
    """Without the password; `rediss://` connects by TLS."""
    redis_password: PasswordFile = Field(
        default=Password(), validation_alias="REDIS_PASSWORD_FILE", validate_default=False
    )
    redis_tls_ca: str = ""
    """File of the certificates that sign Redis' certificate; empty: those of the system."""


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
        loaded = settings()
    except ValidationError as error:
        for fault in error.errors(include_url=False, include_input=False):
            name = "_".join(str(part) for part in fault["loc"]).upper() or "SETTINGS"
            sys.stderr.write(f"{name}: {fault['msg']}\n")
    except SettingsError as error:
        # Raised before validation, for a list or an object that is not JSON.
        name = (_FIELD_NAMED.search(str(error)) or ["", "SETTINGS"])[1].upper()
        sys.stderr.write(f"{name}: must be valid JSON\n")
    else:
        faults = list(faults_of(loaded)) if loaded.profile == "prod" else []
        if not faults:
            return loaded
        sys.stderr.writelines(f"{fault}\n" for fault in faults)
    sys.stderr.write("Set the variables above (see .env.example), then start again.\n")
    raise SystemExit(2)
