"""The running system's addresses: from the environment, else from this checkout's stack."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from ops.domain.errors import UnavailableError

_VARIABLES = {
    "gateway": "GATEWAY_URL",
    "issuer": "ISSUER_URL",
    "partner_bank": "PARTNER_BANK_URL",
    "twilio": "TWILIO_URL",
    "sendgrid": "SENDGRID_URL",
}
_FIELDS = {
    "kafka": "KAFKA_BOOTSTRAP_SERVERS",
    "credential_file": "INTERNAL_CREDENTIAL_FILE",
    "traces": "TRACES_URL",
}


@dataclass(frozen=True, slots=True)
class Addresses:
    """The known addresses of the system; reading an unknown one is an error."""

    urls: Mapping[str, str] = field(default_factory=dict)
    kafka: str = ""
    credential_file: str = ""
    traces: str = ""
    """The address of a trace, without its id."""
    pages: Mapping[str, str] = field(default_factory=dict)
    """The addresses of the observability pages, by name."""
    admins: tuple[str, ...] = ()
    """The services that own state; each has admin routes."""
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

    def brokers(self) -> str:
        """Return Kafka's address; raise UnavailableError if it is unknown."""
        if not self.kafka:
            raise _unknown("Kafka's address", "KAFKA_BOOTSTRAP_SERVERS")
        return self.kafka

    def credential(self) -> str:
        """Return the bearer secret of ops; raise UnavailableError if it is unreadable."""
        if not self.credential_file:
            raise _unknown("the credential of ops", "INTERNAL_CREDENTIAL_FILE")
        try:
            return Path(self.credential_file).read_text(encoding="utf-8").strip()
        except OSError as error:
            raise UnavailableError(
                f"INTERNAL_CREDENTIAL_FILE: {self.credential_file} cannot be read"
                f" ({error.strerror}) by this user",
                f"ls -l {self.credential_file}",
            ) from None


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
    if admins:
        given["admins"] = tuple(admins)
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
