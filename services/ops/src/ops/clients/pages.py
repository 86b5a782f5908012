"""The running system's web pages, by the names that `countersign open` accepts."""

import socket
from dataclasses import dataclass
from datetime import date
from urllib.parse import urlsplit

from ops.clients.addresses import Addresses

CONNECT_WITHIN_S = 0.5
_SERVICE_PAGES = {
    "app": ("gateway", "/app", "the wallet: pay in a browser"),
    "console": ("ops", "/now", "the console: what happens now, payments, dead letters"),
    "gateway": ("gateway", "", "payments: POST /payment/confirm"),
    "docs": ("gateway", "/docs", "the API's documentation"),
    "sms": ("twilio", "/messages", "sent SMS"),
    "mail": ("sendgrid", "/messages", "sent e-mails"),
    "bank": ("partner_bank", "/statement?date={today}", "the banks' bookings of today"),
    "metrics": ("ops", "/metrics", "invariants, as metrics"),
}
"""Service, path and content."""
_OBSERVABILITY_PAGES = {
    "jaeger": "traces",
    "grafana": "dashboards",
    "prometheus": "metrics and alerts",
    "logs": "log lines of all services",
}
NAMES = (*_SERVICE_PAGES, *_OBSERVABILITY_PAGES)


@dataclass(frozen=True, slots=True)
class Page:
    """A web page."""

    name: str
    title: str
    url: str
    start: str
    """The command that starts it."""


def pages_of(addresses: Addresses, today: date) -> list[Page]:
    """Return the pages with a known address."""
    found = [
        Page(name, title, addresses.urls[owner] + path.format(today=today), "make up")
        for name, (owner, path, title) in _SERVICE_PAGES.items()
        if owner in addresses.urls
    ]
    return found + [
        Page(name, title, addresses.pages[name], "make observe")
        for name, title in _OBSERVABILITY_PAGES.items()
        if name in addresses.pages
    ]


def responds(page: Page) -> bool:
    """Say whether a server listens at a page's address."""
    place = urlsplit(page.url)
    port = place.port or {"https": 443}.get(place.scheme, 80)
    try:
        socket.create_connection((place.hostname or "", port), CONNECT_WITHIN_S).close()
    except OSError:
        return False
    return True
