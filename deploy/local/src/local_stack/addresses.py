"""The running stack's addresses for the `countersign` command: entry point `countersign.stack`."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from local_stack.certificates import AUTHORITY
from local_stack.credentials import PARTNERS
from local_stack.discovery import RunningStack, find_stack
from local_stack.errors import StackError
from local_stack.rights import ADMIN

PAGES = {
    "compose": {
        "jaeger": (16686, ""),
        "grafana": (3001, ""),
        "prometheus": (9090, "/alerts"),
        "logs": (3001, "/explore"),
    },
    # Jaeger and Grafana need a Docker engine; Zipkin's and VictoriaMetrics' pages replace them.
    "native": {
        "jaeger": (9411, "/zipkin"),
        "grafana": (3001, "/vmui/#/dashboards"),
        "prometheus": (9090, "/api/v1/alerts"),
    },
}
"""By kind of stack: port and path of each observability page."""
_TRACE = {"compose": "/trace/", "native": "/traces/"}


def traces_of(kind: str, offset: int = 0) -> str:
    """Return where a browser of this machine finds a trace of a stack; the id follows."""
    port, path = PAGES[kind]["jaeger"]
    return f"http://localhost:{port + offset}{path}{_TRACE[kind]}"


def command_addresses(offset: int) -> dict[str, Any]:
    """Return the fields of `ops.clients.addresses.Addresses`; only `partners` without a stack."""
    partners = {"partners": PARTNERS}
    try:
        found = find_stack(offset)
    except StackError:
        return partners
    pages = {
        name: f"http://127.0.0.1:{port + offset}{path}"
        for name, (port, path) in PAGES.get(found.kind, {}).items()
    }
    return partners | {
        "urls": {name: instances[0] for name, instances in found.urls.items()},
        "kafka": partial(found.brokers_as, "ops"),
        "kafka_admin": partial(found.brokers_as, ADMIN),
        "partner_brokers": found.partners,
        "partner_tls_ca": str(found.credentials.path(AUTHORITY)),
        "ring_folder": found.secrets_folder,
        "credential_file": str(found.credentials.path("internal-credential-ops")),
        "tls": found.http_tls,
        "traces": pages.get("jaeger", "") + _TRACE.get(found.kind, ""),
        "pages": pages,
        "admins": found.admins,
        "inspections": partial(_inspections, found),
        "environments": partial(_environments, offset, found),
        "sign_in": _sign_in(found.credentials.path("grafana-admin"), found.kind),
    }


# The two import late: they are slow, and one command alone needs them.
def _inspections(found: RunningStack) -> Mapping[str, str | None]:
    from local_stack.inspections import inspect  # noqa: PLC0415

    return inspect(found)


def _environments(offset: int, found: RunningStack) -> Mapping[str, Mapping[str, str]]:
    from local_stack.stack import Stack  # noqa: PLC0415

    if found.kind != "native":
        return {}
    stack = Stack(offset)
    return {name: stack.environment_of(name) for name in stack.instances}


def _sign_in(password: Path, kind: str) -> str:
    return f"admin, password: cat {password}" if kind == "compose" else ""
