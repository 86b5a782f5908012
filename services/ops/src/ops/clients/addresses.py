"""Where the running system is: from the environment, else from the stack of this checkout."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ops.domain.errors import NotAskedError

OWNERS = ("confirm", "risk", "otp", "settlement", "notification", "audit")
"""Who owns state, and answers for it under `/admin`."""
PAGES = {
    "compose": {
        "jaeger": (16686, ""),
        "grafana": (3001, ""),
        "prometheus": (9090, "/alerts"),
        "logs": (3001, "/explore"),
    },
    # Jaeger's and Grafana's pages need an engine; without, Zipkin's and VictoriaMetrics' show it.
    "native": {
        "jaeger": (9411, "/zipkin"),
        "grafana": (3001, "/vmui/#/dashboards"),
        "prometheus": (9090, "/api/v1/alerts"),
    },
}
"""By kind of stack: port and path of what observes it."""
_TRACE = {"compose": "/trace/", "native": "/traces/"}
_VARIABLES = {
    "gateway": "GATEWAY_URL",
    "issuer": "ISSUER_URL",
    "partner_bank": "PARTNER_BANK_URL",
    "twilio": "TWILIO_URL",
    "sendgrid": "SENDGRID_URL",
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
    sign_in: str = ""
    """How to sign in where looking is not enough: at Grafana, to change dashboards."""

    def url(self, name: str) -> str:
        """Return the address of a process; raise NotAskedError, saying how to make it known."""
        if name not in self.urls:
            raise _unknown(f"the address of {name}", _VARIABLES.get(name, "ADMIN_URLS"))
        return self.urls[name]

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
    urls = {name: instances[0] for name, instances in stack.get("urls", {}).items()}
    urls |= _admin_urls(environment.get("ADMIN_URLS", ""))
    urls |= {
        name: environment[variable].rstrip("/")
        for name, variable in _VARIABLES.items()
        if environment.get(variable)
    }
    return Addresses(
        urls,
        environment.get("KAFKA_BOOTSTRAP_SERVERS") or stack.get("kafka", ""),
        environment.get("INTERNAL_CREDENTIAL_FILE") or stack.get("credential_file", ""),
        environment.get("TRACES_URL") or stack.get("traces", ""),
        stack.get("pages", {}),
        stack.get("sign_in", ""),
    )


def _sign_in(password: Path, kind: str) -> str:
    return f"admin, password: cat {password}" if kind == "compose" else ""


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


def known_partners() -> tuple[str, ...]:
    """Return the names of the partner banks, where the stack's package is at hand."""
    try:
        from local_stack.credentials import PARTNERS  # noqa: PLC0415 - as below
    except ImportError:
        return ()
    return PARTNERS


def _stack(offset: int) -> dict[str, Any]:
    # An image holds this package without the stack's: there the environment says it all.
    try:
        from local_stack.discovery import find_stack  # noqa: PLC0415
        from local_stack.errors import StackError  # noqa: PLC0415
    except ImportError:
        return {}
    try:
        found = find_stack(offset)
    except StackError:
        return {}
    credential = found.credentials.path("internal-credential-ops")
    pages = {
        name: f"http://127.0.0.1:{port + offset}{path}"
        for name, (port, path) in PAGES.get(found.kind, {}).items()
    }
    return {
        "urls": found.urls,
        "kafka": found.kafka,
        "credential_file": str(credential),
        "traces": pages.get("jaeger", "") + _TRACE.get(found.kind, ""),
        "pages": pages,
        "sign_in": _sign_in(found.credentials.path("grafana-admin"), found.kind),
    }
