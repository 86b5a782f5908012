"""The running system's addresses: from the environment, else from this checkout's stack."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from ops.domain.errors import UnavailableError
from service_runtime.brokers import Brokers
from service_runtime.tls import Certificates

_VARIABLES = {
    "gateway": "GATEWAY_URL",
    "identity": "IDENTITY_URL",
    "issuer": "ISSUER_URL",
    "ops": "OPS_URL",
    "partner_bank": "PARTNER_BANK_URL",
    "south_bank": "SOUTH_BANK_URL",
    "twilio": "TWILIO_URL",
    "sendgrid": "SENDGRID_URL",
}
_FIELDS = {
    "partner_brokers": "PARTNER_BROKERS",
    "partner_tls_ca": "PARTNER_TLS_CA",
    "ring_folder": "SECRETS_FOLDER",
    "credential_file": "INTERNAL_CREDENTIAL_FILE",
    "operator_issuer": "OPERATOR_ISSUER",
    "client_id": "OPERATOR_CLIENT_ID",
    "operator_scopes": "OPERATOR_SCOPES",
    "traces": "TRACES_URL",
}


@dataclass(frozen=True, slots=True)
class Addresses:
    """The known addresses of the system; reading an unknown one is an error."""

    urls: Mapping[str, str] = field(default_factory=dict)
    kafka: Callable[[], Brokers] | None = None
    """Reads what to connect to Kafka with."""
    kafka_admin: Callable[[], Brokers] | None = None
    """The same for the administrator, who alone makes topics, principals and rights."""
    partner_brokers: str = ""
    """Where Kafka listens for partner banks, as they see it; empty: where it listens for us."""
    partner_tls_ca: str = ""
    """The file of the authority of the certificates there; empty: the one that we trust."""
    ring_folder: str = ""
    """The folder of the services' secrets; known only where the command runs beside it."""
    credential_file: str = ""
    tls: Certificates | None = None
    """What services are called with by `https://`."""
    operator_issuer: str = ""
    """The issuer of operators' tokens; empty: the stack's development issuer."""
    client_id: str = "countersign"
    """The command's name at that issuer."""
    operator_scopes: str = ""
    """The scopes that are asked for; empty: all."""
    traces: str = ""
    """The address of a trace, without its id."""
    pages: Mapping[str, str] = field(default_factory=dict)
    """The addresses of the observability pages, by name."""
    admins: tuple[str, ...] = ()
    """The services that own state; each has admin routes."""
    inspections: Callable[[], Mapping[str, str | None]] = dict
    """What set-up sees of the running system: by rule the fault, if there is one."""
    environments: Callable[[], Mapping[str, Mapping[str, str]]] = dict
    """The variables of each process; known only where the command runs beside it."""
    sign_in: str = ""
    """How to sign in to Grafana, to change dashboards."""
    partners: tuple[str, ...] = ()
    """The partner banks' names."""

    def url(self, name: str) -> str:
        """Return the address of a process; raise UnavailableError with its setting."""
        if name not in self.urls:
            raise _unknown(f"the address of {name}", _VARIABLES.get(name, "ADMIN_URLS"))
        return self.urls[name]

    def owners(self) -> tuple[str, ...]:
        """Return the services that own state; raise UnavailableError if unknown."""
        if not self.admins:
            raise _unknown("which services own state", "ADMIN_URLS")
        return self.admins

    def brokers(self) -> Brokers:
        """Return what to connect to Kafka with; raise UnavailableError if it is unknown."""
        if self.kafka is None:
            raise _unknown("Kafka's address", "KAFKA_BOOTSTRAP_SERVERS")
        return self.kafka()

    def administrator(self) -> Brokers:
        """Return the administrator's login at Kafka; raise UnavailableError if it is unknown."""
        if self.kafka_admin is None:
            raise _unknown("the administrator's login at Kafka", "KAFKA_ADMIN_PASSWORD_FILE")
        return self.kafka_admin()

    def key_files(self) -> Path:
        """Return the folder of key rings; raise UnavailableError if it is unknown."""
        if not self.ring_folder:
            raise _unknown("the folder of the key rings", "SECRETS_FOLDER")
        return Path(self.ring_folder)

    def credential(self) -> str:
        """Return the secret of the checking machine; raise UnavailableError if it is unreadable."""
        if not self.credential_file:
            raise _unknown("the credential of the check", "INTERNAL_CREDENTIAL_FILE")
        return _secret("INTERNAL_CREDENTIAL_FILE", self.credential_file)


def _brokers(environment: Mapping[str, str]) -> Brokers:
    file = environment.get("KAFKA_PASSWORD_FILE", "")
    return Brokers(
        environment["KAFKA_BOOTSTRAP_SERVERS"],
        environment.get("KAFKA_USER", ""),
        _secret("KAFKA_PASSWORD_FILE", file) if file else "",
        environment.get("KAFKA_TLS_CA", ""),
    )


def _administrator(environment: Mapping[str, str]) -> Brokers:
    return replace(
        _brokers(environment),
        user=environment.get("KAFKA_ADMIN_USER", "admin"),
        password=_secret("KAFKA_ADMIN_PASSWORD_FILE", environment["KAFKA_ADMIN_PASSWORD_FILE"]),
    )


def _certificates(environment: Mapping[str, str]) -> Certificates:
    certificate = environment["HTTP_TLS_CERTIFICATE"]
    try:
        return Certificates(certificate, environment.get("HTTP_TLS_CA", ""))
    except ValueError as error:
        what = f"HTTP_TLS_CERTIFICATE, HTTP_TLS_CA: {error}"
        raise UnavailableError(what, f"ls -l {certificate}") from None


def _secret(variable: str, file: str) -> str:
    try:
        return Path(file).read_text(encoding="utf-8").strip()
    except OSError as error:
        what = f"{variable}: {file} cannot be read ({error.strerror}) by this user"
        raise UnavailableError(what, f"ls -l {file}") from None


def _unknown(what: str, variable: str) -> UnavailableError:
    return UnavailableError(
        f"{what} is unknown: the stack is not running, and {variable} is not set", "make up"
    )


def find_addresses(environment: Mapping[str, str], offset: int = 0) -> Addresses:
    """Return the addresses of the environment, completed by those of the running stack."""
    stack = _stack(offset)
    admins = _admin_urls(environment.get("ADMIN_URLS", ""))
    urls = {**stack.get("urls", {}), **admins} | {
        name: environment[variable].rstrip("/")
        for name, variable in _VARIABLES.items()
        if environment.get(variable)
    }
    given: dict[str, Any] = {
        field: environment[variable]
        for field, variable in _FIELDS.items()
        if environment.get(variable)
    }
    if environment.get("KAFKA_BOOTSTRAP_SERVERS"):
        given["kafka"] = partial(_brokers, environment)
        if environment.get("KAFKA_ADMIN_PASSWORD_FILE"):
            given["kafka_admin"] = partial(_administrator, environment)
    if admins:
        given["admins"] = tuple(admins)
    if environment.get("HTTP_TLS_CERTIFICATE"):
        given["tls"] = _certificates(environment)
    return Addresses(**stack | given | {"urls": urls})


def _admin_urls(text: str) -> dict[str, str]:
    if not text:
        return {}
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    if not isinstance(found, dict) or not all(isinstance(url, str) for url in found.values()):
        what = "ADMIN_URLS: must be a JSON object, service -> address"
        raise UnavailableError(what, "printenv ADMIN_URLS")
    return {name: url.rstrip("/") for name, url in found.items()}


def _stack(offset: int) -> dict[str, Any]:
    """Return what the local stack's package knows; an image holds none of it."""
    for provider in entry_points(group="countersign.stack"):
        return dict(provider.load()(offset))
    return {}
