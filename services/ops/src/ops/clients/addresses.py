"""Where the running system is: from the environment, else from the stack of this checkout."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from ops.domain.errors import NotAskedError

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
    """What is known of the system's addresses; asking for an unknown one is an error."""

    urls: Mapping[str, str] = field(default_factory=dict)
    kafka: str = ""
    credential_file: str = ""
    traces: str = ""
    """Where a trace is shown; its id is appended."""
    pages: Mapping[str, str] = field(default_factory=dict)
    """Where what observes the system shows it, by name."""
    admins: tuple[str, ...] = ()
    sign_in: str = ""
    """How to sign in to Grafana, to change dashboards."""
    partners: tuple[str, ...] = ()
    """The partner banks' names."""

    def url(self, name: str) -> str:
        """Return the address of a process; raise NotAskedError, saying how to make it known."""
        if name not in self.urls:
            raise _unknown(f"the address of {name}", _VARIABLES.get(name, "ADMIN_URLS"))
        return self.urls[name]

    def owners(self) -> tuple[str, ...]:
        """Return the services that own state; raise NotAskedError where none is known."""
        if not self.admins:
            raise _unknown("which services own state", "ADMIN_URLS")
        return self.admins

    def brokers(self) -> str:
        """Return Kafka's address; raise NotAskedError where it is not known."""
        if not self.kafka:
            raise _unknown("Kafka's address", "KAFKA_BOOTSTRAP_SERVERS")
        return self.kafka

    def credential(self) -> str:
        """Return the bearer secret of ops; raise NotAskedError where it cannot be read."""
        if not self.credential_file:
            raise _unknown("the credential of ops", "INTERNAL_CREDENTIAL_FILE")
        try:
            return Path(self.credential_file).read_text(encoding="utf-8").strip()
        except OSError as error:
            raise NotAskedError(
                f"INTERNAL_CREDENTIAL_FILE: {self.credential_file} cannot be read"
                f" ({error.strerror}) by this user",
                f"ls -l {self.credential_file}",
            ) from None


def _unknown(what: str, variable: str) -> NotAskedError:
    return NotAskedError(f"{what} is not known, {variable} is not set either", "make up")


def find_addresses(environment: Mapping[str, str], offset: int = 0) -> Addresses:
    """Return what the environment says, completed by what the running stack says of itself."""
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
        what = "ADMIN_URLS: must be a JSON object, owner -> address"
        raise NotAskedError(what, "printenv ADMIN_URLS")
    return {name: url.rstrip("/") for name, url in found.items()}


def _stack(offset: int) -> dict[str, Any]:
    """Return what the local stack's package knows; an image holds none of it."""
    for provider in entry_points(group="countersign.stack"):
        return dict(provider.load()(offset))
    return {}
