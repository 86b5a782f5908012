"""Where the running system is: from the environment, else from the stack of this checkout."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ops.errors import NotAskedError

OWNERS = ("confirm", "risk", "otp", "settlement", "notification", "audit")
"""Who owns state, and answers for it under `/admin`."""
JAEGER_PORT = 16686
ZIPKIN_PORT = 9411
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

    def url(self, name: str) -> str:
        """Return the address of a process; raise NotAskedError, saying how to make it known."""
        if name not in self.urls:
            raise NotAskedError(
                f"the address of {name} is not known: start the system with `make up`,"
                f" or set {_VARIABLES.get(name, 'ADMIN_URLS')}"
            )
        return self.urls[name]

    def brokers(self) -> str:
        """Return Kafka's address; raise NotAskedError where it is not known."""
        if not self.kafka:
            raise NotAskedError(
                "Kafka's address is not known: start the system with `make up`,"
                " or set KAFKA_BOOTSTRAP_SERVERS"
            )
        return self.kafka

    def credential(self) -> str:
        """Return the bearer secret of ops; raise NotAskedError where it cannot be read."""
        if not self.credential_file:
            raise NotAskedError(
                "the credential of ops is not known: start the system with `make up`,"
                " or set INTERNAL_CREDENTIAL_FILE"
            )
        try:
            return Path(self.credential_file).read_text(encoding="utf-8").strip()
        except OSError as error:
            raise NotAskedError(
                f"INTERNAL_CREDENTIAL_FILE: {self.credential_file} cannot be read"
                f" ({error.strerror}): run as the user who started the system"
            ) from None


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
    )


def _admin_urls(text: str) -> dict[str, str]:
    if not text:
        return {}
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    if not isinstance(found, dict) or not all(isinstance(url, str) for url in found.values()):
        raise NotAskedError("ADMIN_URLS: must be a JSON object, owner -> address")
    return {name: url.rstrip("/") for name, url in found.items()}


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
    # Jaeger's page needs an engine; beside it, Zipkin's shows the same traces.
    jaeger, zipkin = JAEGER_PORT + offset, ZIPKIN_PORT + offset
    shown = {
        "compose": f"http://127.0.0.1:{jaeger}/trace/",
        "native": f"http://127.0.0.1:{zipkin}/zipkin/traces/",
    }
    return {
        "urls": found.urls,
        "kafka": found.kafka,
        "credential_file": str(credential),
        "traces": shown.get(found.kind, ""),
    }
