"""Review cases at compliance: the queue, evidence, acts, and drafts of reports."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from ops.clients.listings import REVIEWS
from ops.clients.proposals import of_owner
from ops.clients.system import System
from ops.domain.rows import Row

OUTCOMES = {
    "FILED": "the report is filed",
    "NOT_SUSPICIOUS": "nothing is to be reported",
}
"""How a case ends; two people decide it."""
CLOSE = "CASE_CLOSE"


def queue(system: System, **query: Any) -> Row:
    """Return a page of cases, those due first, with the cursor of the next page."""
    found: Row = system.get(REVIEWS.owner, REVIEWS.path, **query)
    return found


def review_of(system: System, case_id: str) -> Row:
    """Return a case with its evidence and entries; the look is recorded."""
    found: Row = system.get(REVIEWS.owner, _path(case_id))
    return found


def act(system: System, case_id: str, verb: str, body: Mapping[str, Any]) -> Row:
    """Assign, escalate, note, name a suspect, or propose how a case ends."""
    found: Row = system.post(REVIEWS.owner, f"{_path(case_id)}/{verb}", body)
    return found


def draft_of(system: System, case_id: str) -> str:
    """Return the draft of a case's report as XML."""
    with system.stream(REVIEWS.owner, f"{_path(case_id)}/draft") as parts:
        return "".join(parts)


def proposed_end(system: System, case_id: str) -> Row | None:
    """Return how a case is proposed to end; None without a proposal, or without the scope."""
    waiting = (one for one in of_owner(system, REVIEWS.owner) if one["act"] == CLOSE)
    return next((one for one in waiting if str(one["about"]).startswith(case_id)), None)


def approve_end(system: System, proposal: str, digest: str) -> Row:
    """Approve how another person proposes to end a case, as it was read."""
    path = f"/admin/proposals/{quote(proposal, safe='')}/approve"
    found: Row = system.post(REVIEWS.owner, path, {"digest": digest})
    return found


def _path(case_id: str) -> str:
    return f"{REVIEWS.path}/{quote(case_id, safe='')}"
