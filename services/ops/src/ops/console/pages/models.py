"""Fraud models: versions and stages, how each compares, drift, and the steps up and back."""

from collections.abc import Mapping
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Depends
from fastapi.responses import Response

from ops.clients.proposals import of_owner
from ops.console.frame import Console, act_of, box
from ops.console.sections import Section
from ops.console.viewers import Form, Viewer
from ops.domain.errors import RefusedError
from ops.domain.rows import Row

SECTION = Section("Fraud models", "/models", "m")
OWNER, WRITE = "fraud", "compliance.write"
NEXT = {"SHADOW": "CANARY", "RETIRED": "CANARY", "CANARY": "LIVE"}
"""The step up from each stage."""
MOST_SHARE = 99


def routes(console: Console) -> APIRouter:
    """Return the routes; fraud decides which steps it takes, and demands the second person."""
    router = APIRouter(include_in_schema=False)
    Operator = Annotated[Viewer, Depends(console.viewer)]  # noqa: N806 - a type
    Acting = Annotated[Viewer, Depends(act_of(console, WRITE))]  # noqa: N806 - a type

    @router.get(SECTION.path)
    def page(viewer: Operator) -> Response:
        return console.page(
            viewer,
            "models.html",
            found=box(lambda: viewer.system.get(OWNER, "/admin/models")),
            proposed=box(lambda: of_owner(viewer.system, OWNER)),
            next=NEXT,
            calibration=calibration_of,
            may=viewer.may(WRITE),
        )

    @router.post("/models/roll-back")
    def roll_back(viewer: Acting) -> Response:
        done = viewer.system.post(OWNER, "/admin/models:roll-back", {})
        return console.done(viewer, SECTION.path, rolled_back(done))

    @router.post("/models/{version}/stage")
    def stage(viewer: Acting, version: str, form: Form) -> Response:
        path = f"/admin/models/{quote(version, safe='')}/stage"
        done = viewer.system.post(OWNER, path, body_of(form))
        notice = f"Proposed: {done['about']}. A second person reads it below, and approves it."
        return console.done(viewer, SECTION.path, notice)

    return router


def calibration_of(outcome: Row | None) -> str | None:
    """Return reported frauds for each expected one; None where nothing was expected yet."""
    if not outcome or not outcome["expected"]:
        return None
    return f"{outcome['found'] / outcome['expected']:.2f}"


def rolled_back(done: Row) -> str:
    """Return what a roll-back has done, in a sentence."""
    steps = (f"{one['version']} is {one['stage'].lower()}" for one in done["steps"])
    return f"Rolled back: {', '.join(steps)}."


def body_of(form: Mapping[str, str]) -> dict[str, Any]:
    """Return the body of a step up; raise RefusedError for a share that is none."""
    stage, share = form.get("stage", ""), form.get("share", "").strip()
    if stage != "CANARY":
        return {"stage": stage}
    if not (share.isascii() and share.isdigit() and 1 <= int(share) <= MOST_SHARE):
        raise RefusedError("share: must be 1 to 99 per cent of the users", "")
    return {"stage": stage, "share": int(share)}
