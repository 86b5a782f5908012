"""Reconciliation at settlement: statements by day, cases, and what two people do about one."""

from urllib.parse import quote

from ops.clients.listings import CASES, STATEMENTS
from ops.clients.system import System
from ops.domain.rows import Row

RESOLUTIONS = {
    "SETTLE": "the bank has the money",
    "RETURN": "the bank never had it; the customer gets it back",
    "EXPLAINED": "no money moves",
}
"""What each one says. The first two need two people."""
MOVES_MONEY = ("SETTLE", "RETURN")


def case_of(system: System, case_id: str) -> Row:
    """Return a case with both sides; the read is audited."""
    found: Row = system.get(CASES.owner, f"{CASES.path}/{_name(case_id)}")
    return found


def resolve(system: System, case_id: str, resolution: str, note: str) -> Row:
    """Propose SETTLE or RETURN, or close a case as EXPLAINED; return its status."""
    body = {"resolution": resolution, "note": note}
    found: Row = system.post(CASES.owner, f"{CASES.path}/{_name(case_id)}/resolve", body)
    return found


def approve(system: System, case_id: str, resolution: str, note: str) -> Row:
    """Approve what another person has proposed, as it was read; return what was done."""
    body = {"resolution": resolution, "note": note}
    found: Row = system.post(CASES.owner, f"{CASES.path}/{_name(case_id)}/approve", body)
    return found


def reconcile(system: System, partner: str, day: str) -> Row:
    """Read a partner's statement of a day now, and compare it; return the counts."""
    body = {"partner": partner, "date": day}
    found: Row = system.post(CASES.owner, "/admin/reconciliations", body)
    return found


def cases_of_day(system: System, partner: str, day: str, after: str | None) -> Row:
    """Return a page of the cases of a partner's day, with the cursor of the next one."""
    path = f"{STATEMENTS.path}/{_name(partner)}/{_name(day)}/cases"
    found: Row = system.get(STATEMENTS.owner, path, after=after)
    return found


def _name(text: str) -> str:
    return quote(text, safe="")
