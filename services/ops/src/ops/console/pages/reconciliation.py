"""Reconciliation: partners by day, a case with both sides, and its resolution by two people."""

from collections.abc import Sequence
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Depends
from fastapi.responses import Response

from ops.clients import cases
from ops.clients.listings import CASES, MOST_CASES, STATEMENTS
from ops.clients.system import System
from ops.console.frame import Console, act_of, box
from ops.console.sections import Section
from ops.console.viewers import Form, Viewer
from ops.domain.rows import Row

SECTION = Section("Reconciliation", "/reconciliation", "r")
DAYS = 7
PROPOSE, APPROVE, READ_NOW = "cases.propose", "cases.approve", "ops.write"


def routes(console: Console) -> APIRouter:
    """Return the routes."""
    router = APIRouter(include_in_schema=False)
    Operator = Annotated[Viewer, Depends(console.viewer)]  # noqa: N806 - a type
    Reader = Annotated[Viewer, Depends(act_of(console, READ_NOW))]  # noqa: N806 - a type
    Proposer = Annotated[Viewer, Depends(act_of(console, PROPOSE))]  # noqa: N806 - a type
    Approver = Annotated[Viewer, Depends(act_of(console, APPROVE))]  # noqa: N806 - a type

    @router.get(SECTION.path)
    def page(viewer: Operator) -> Response:
        return console.page(
            viewer,
            "reconciliation.html",
            days=box(lambda: _by_day(viewer.system)),
            waiting=box(lambda: _unresolved(viewer.system)),
        )

    @router.get("/reconciliation/cases/{case_id}")
    def case(viewer: Operator, case_id: str) -> Response:
        found = cases.case_of(viewer.system, case_id)
        return console.page(viewer, "case.html", case=found, resolutions=cases.RESOLUTIONS)

    @router.get("/reconciliation/{partner}/{day}")
    def day(viewer: Operator, partner: str, day: str, after: str | None = None) -> Response:
        found = box(lambda: cases.cases_of_day(viewer.system, partner, day, after))
        return console.page(viewer, "day.html", partner=partner, day=day, box=found)

    @router.post("/reconciliation/{partner}/{day}")
    def read(viewer: Reader, partner: str, day: str) -> Response:
        report = cases.reconcile(viewer.system, partner, day)
        broken = len(report["breaks"])
        notice = f"The statement was read: {report['matched']} matched, {broken} broken."
        return console.done(viewer, f"/reconciliation/{quote(partner)}/{quote(day)}", notice)

    @router.post("/reconciliation/cases/{case_id}/propose")
    def propose(viewer: Proposer, case_id: str, form: Form) -> Response:
        resolution, note = form.get("resolution", ""), form.get("note", "")
        done = cases.resolve(viewer.system, case_id, resolution, note)
        return console.done(viewer, _path(case_id), _outcome(done))

    @router.post("/reconciliation/cases/{case_id}/approve")
    def approve(viewer: Approver, case_id: str, form: Form) -> Response:
        resolution, note = form.get("resolution", ""), form.get("note", "")
        done = cases.approve(viewer.system, case_id, resolution, note)
        return console.done(viewer, _path(case_id), _outcome(done))

    return router


def _path(case_id: str) -> str:
    return f"/reconciliation/cases/{quote(case_id, safe='')}"


def _outcome(done: Row) -> str:
    if done["status"] == "PROPOSED":
        return f"{done['resolution']} is proposed. A second person has to approve it."
    return f"The case is resolved: {done['resolution']}."


def _unresolved(system: System) -> list[Row]:
    """Return unresolved cases, those that wait for a second person first."""
    found = system.rows(CASES, limit=MOST_CASES)
    return sorted(found, key=lambda one: (one["status"] != "PROPOSED", one["opened_at"]))


def _by_day(system: System) -> dict[str, Any]:
    """Return partners, and for each day the cell of each partner, the newest day first."""
    reply = system.get(STATEMENTS.owner, STATEMENTS.path, days=DAYS)
    rows: Sequence[Row] = reply["days"]
    days: dict[str, dict[str, Row]] = {}
    for row in rows:
        days.setdefault(row["day"], {})[row["partner"]] = row
    partners = sorted({row["partner"] for row in rows})
    return {"partners": partners, "days": days, "counted_to": reply["counted_to"]}
