"""Identity checks at compliance: lists, one person's, and a person's decision about a round."""

from typing import Any
from urllib.parse import quote

from ops.clients.system import System
from ops.domain.errors import RefusedError

OWNER, PATH = "compliance", "/admin/kyc"
STATES = ("REVIEW", "INITIATED", "CHECKING", "VERIFIED", "REJECTED")
"""The first one waits for a person."""
DECISIONS = ("VERIFIED", "REJECTED")


def listed(system: System, state: str = "", after: str | None = None, limit: int = 50) -> Any:
    """Return a page of profiles in a state, without personal data; without one, in REVIEW."""
    return system.get(OWNER, PATH, state=state or STATES[0], after=after, limit=limit)


def of_user(system: System, user: str) -> Any:
    """Return what a person has stated, and the documents; the read is audited."""
    return system.get(OWNER, _path(user))


def document(system: System, user: str, document_id: str) -> bytes:
    """Return what a document shows; the read is audited."""
    return system.download(OWNER, f"{_path(user)}/documents/{quote(document_id, safe='')}")


def decide(system: System, user: str, decision: str, reason: str, key: str) -> Any:
    """Decide about a round that waits for a person; raise RefusedError for an invalid decision."""
    if decision not in DECISIONS:
        raise RefusedError(f"decision: must be one of {', '.join(DECISIONS)}", "")
    if not reason:
        raise RefusedError("reason: must say why", "")
    body = {"decision": decision, "reason": reason}
    return system.post(OWNER, f"{_path(user)}/decide", body, key=key)


def _path(user: str) -> str:
    return f"{PATH}/{quote(user, safe='')}"
