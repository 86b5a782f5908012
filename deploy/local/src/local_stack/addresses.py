"""The running stack's addresses for the `countersign` command: entry point `countersign.stack`."""

from pathlib import Path
from typing import Any

from local_stack.credentials import PARTNERS
from local_stack.discovery import find_stack
from local_stack.errors import StackError

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
        "kafka": found.kafka,
        "credential_file": str(found.credentials.path("internal-credential-ops")),
        "traces": pages.get("jaeger", "") + _TRACE.get(found.kind, ""),
        "pages": pages,
        "admins": found.admins,
        "sign_in": _sign_in(found.credentials.path("grafana-admin"), found.kind),
    }


def _sign_in(password: Path, kind: str) -> str:
    return f"admin, password: cat {password}" if kind == "compose" else ""
