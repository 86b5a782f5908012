"""What of the running system a browser can show, by the names that `countersign open` takes."""

import socket
from dataclasses import dataclass
from datetime import date
from urllib.parse import urlsplit

from ops.clients.addresses import Addresses

LOOK_WITHIN_S = 0.5
_OURS = {
    "gateway": ("gateway", "", "payments: POST /payment/confirm"),
    "docs": ("gateway", "/docs", "the API, to try out"),
    "sms": ("twilio", "/messages", "SMS that were sent"),
    "mail": ("sendgrid", "/messages", "e-mails that were sent"),
    "bank": ("partner_bank", "/statement?date={today}", "what the banks booked today"),
    "metrics": ("ops", "/metrics", "invariants, as metrics"),
}
"""Whose page it is, its path, and what it shows."""
_OBSERVING = {
    "jaeger": "traces",
    "grafana": "dashboards",
    "prometheus": "metrics and alerts",
    "logs": "log lines of all services",
}
NAMES = (*_OURS, *_OBSERVING)


@dataclass(frozen=True, slots=True)
class Page:
    """Something to look at."""

    name: str
    title: str
    url: str
    start: str
    """The command that starts it."""


def pages_of(addresses: Addresses, today: date) -> list[Page]:
    """Return the pages whose address is known."""
    found = [
        Page(name, title, addresses.urls[owner] + path.format(today=today), "make up")
        for name, (owner, path, title) in _OURS.items()
        if owner in addresses.urls
    ]
    return found + [
        Page(name, title, addresses.pages[name], "make observe")
        for name, title in _OBSERVING.items()
        if name in addresses.pages
    ]


def answers(page: Page) -> bool:
    """Say whether anybody listens at a page's address."""
    place = urlsplit(page.url)
    port = place.port or {"https": 443}.get(place.scheme, 80)
    try:
        socket.create_connection((place.hostname or "", port), LOOK_WITHIN_S).close()
    except OSError:
        return False
    return True
