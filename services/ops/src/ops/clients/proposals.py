"""Acts that wait for a second person, at every service that has some."""

from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote

from ops.clients import cases
from ops.clients.listings import CASES, MOST_CASES
from ops.clients.system import System
from ops.domain.errors import RefusedError, UnavailableError
from ops.domain.rows import Row

OWNERS = ("confirm", "notification", "ops")
ADD_ONS = ("identity", "compliance", "screening", "fraud")
"""They have proposals where they run; without one, its proposals cannot be approved anyway."""
SETTLEMENT = "settlement"
"""Its proposals are its cases."""
_LIST = "countersign proposals"
_DAY = timedelta(days=1)
"""Settlement's limit of a proposal."""


def waiting(system: System) -> list[Row]:
    """Return the open proposals of all services, the oldest first."""
    found = [row for owner in OWNERS for row in of_owner(system, owner)]
    for owner in ADD_ONS:
        with suppress(UnavailableError):
            found += of_owner(system, owner)
    found += [_of_case(case) for case in system.rows(CASES, status="PROPOSED", limit=MOST_CASES)]
    return sorted(found, key=lambda row: str(row["proposed_at"]))


def of_owner(system: System, owner: str) -> list[Row]:
    """Return the open proposals of a service, the oldest first."""
    rows = system.get(owner, "/admin/proposals")["proposals"]
    return [{"owner": owner, **row} for row in rows]


def content_of(system: System, proposal_id: str) -> Row:
    """Return a proposal with its content; the read is audited."""
    known = _named(system, proposal_id)
    if known["owner"] == SETTLEMENT:
        return {**known, "body": cases.case_of(system, known["proposal"])}
    found: Row = system.get(known["owner"], f"/admin/proposals/{known['proposal']}")
    return {"owner": known["owner"], **found}


def approve(system: System, proposal_id: str) -> Row:
    """Approve a proposal as it stands; return what was done."""
    known = _named(system, proposal_id)
    owner, name = known["owner"], known["proposal"]
    if owner != SETTLEMENT:
        named = {"digest": known["digest"]}
        return {**known, **system.post(owner, f"/admin/proposals/{name}/approve", named)}
    return {**known, **cases.approve(system, name, known["resolution"], known["note"])}


def approve_as_read(system: System, owner: str, proposal_id: str, digest: str) -> Row:
    """Approve the content that was read, by its digest; return what was done."""
    path = f"/admin/proposals/{quote(proposal_id, safe='')}/approve"
    done: Row = system.post(owner, path, {"digest": digest})
    return done


def _of_case(case: Row) -> dict[str, Any]:
    proposed_at = datetime.fromisoformat(case["updated_at"])
    return {
        "owner": SETTLEMENT,
        "proposal": case["id"],
        "act": f"CASE_{case['resolution']}",
        "about": f"{case['partner']} {case['uetr']}",
        "proposed_by": case["proposed_by"],
        "proposed_at": case["updated_at"],
        "expires_at": (proposed_at + _DAY).isoformat(),
        "resolution": case["resolution"],
        "note": case["note"],
    }


def _named(system: System, proposal_id: str) -> Row:
    for row in waiting(system):
        if row["proposal"] == proposal_id:
            return row
    raise RefusedError(f"no open proposal has the id {proposal_id}", _LIST)
