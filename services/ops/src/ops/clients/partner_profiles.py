"""Profiles of partner banks on Kafka, at settlement."""

from typing import Any

from ops.clients.listings import PARTNER_ACTIVITY, PARTNERS
from ops.clients.system import System
from ops.domain.errors import RefusedError
from ops.domain.rows import Row


def profile_of(system: System, partner: str) -> Row:
    """Return a partner's profile. Raises RefusedError for an unknown one."""
    for profile in system.rows(PARTNERS):
        if profile["partner"] == partner:
            return profile
    raise RefusedError(f"no partner on Kafka is called {partner!r}", "countersign partners list")


def activity_of(system: System, partner: str) -> Row:
    """Return a partner of any transport, with what is at it now. Raises RefusedError."""
    for found in system.rows(PARTNER_ACTIVITY):
        if found["partner"] == partner:
            return found
    raise RefusedError(f"no partner is called {partner!r}", "countersign partners list")


def change(system: System, partner: str, act: str, body: dict[str, Any] | None = None) -> Row:
    """Suspend, resume, give keys or replay; return what settlement responds."""
    profile_of(system, partner)
    changed: Row = system.post("settlement", f"{PARTNERS.path}/{partner}/{act}", body or {})
    return changed
