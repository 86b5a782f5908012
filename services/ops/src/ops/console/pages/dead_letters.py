"""Dead letters: in groups, one by one with masked data, and published again: first as a dry run."""

from collections.abc import Mapping
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Request
from fastapi.responses import RedirectResponse, Response

from ops.clients.listings import DEAD_LETTERS
from ops.clients.proposals import approve, of_owner
from ops.clients.redriving import MOST_REDRIVEN
from ops.console.frame import Console, act_of, box
from ops.console.sections import Section
from ops.console.viewers import Form, Viewer
from ops.domain.errors import RefusedError
from ops.domain.rows import Row
from service_runtime.clock import Clock

SECTION = Section("Dead letters", "/dead-letters", "d")
SCOPE = "dlq.redrive"
FILTERS = ("topic", "reason", "error_class", "id")


def routes(console: Console, clock: Clock) -> APIRouter:
    """Return the routes."""
    router = APIRouter(include_in_schema=False)
    Operator = Annotated[Viewer, Depends(console.viewer)]  # noqa: N806 - a type
    Acting = Annotated[Viewer, Depends(act_of(console, SCOPE))]  # noqa: N806 - a type

    @router.get("/dead-letters")
    def page(viewer: Operator, request: Request) -> Response:
        query = urlencode(_asked(request.query_params))
        return console.page(viewer, "dead_letters.html", query=query)

    @router.get("/dead-letters/found")
    def found(viewer: Operator, request: Request) -> Response:
        asked = _asked(request.query_params)
        known = box(lambda: viewer.system.get("ops", DEAD_LETTERS.path, **asked))
        proposals = box(lambda: of_owner(viewer.system, "ops"))
        return console.part(
            viewer,
            "parts/dead_letters.html",
            box=known,
            proposals=proposals,
            asked=asked,
            query=urlencode(asked),
        )

    @router.get("/dead-letters/redrive")
    def dry_run(viewer: Operator, request: Request) -> Response:
        viewer.need(SCOPE)
        asked = _asked(request.query_params)
        if not asked:
            return RedirectResponse("/dead-letters", 303)
        found = viewer.system.get("ops", DEAD_LETTERS.path, **asked, limit=MOST_REDRIVEN)
        letters = _once(found["letters"])
        values = {"letters": letters, "total": found["total"], "query": urlencode(asked)}
        key = str(clock.new_id())
        return console.page(viewer, "redrive.html", **values, most=MOST_REDRIVEN, key=key)

    @router.post("/dead-letters/redrive")
    def redrive(viewer: Acting, form: Form) -> Response:
        places = form.get("places", "").split()
        if not places:
            raise RefusedError("no dead letter was selected", "")
        done = viewer.system.post("ops", "/admin/redrives", {"places": places}, form.get("key"))
        return console.done(viewer, "/dead-letters", _outcome(done, len(places)))

    @router.post("/dead-letters/approve")
    def approved(viewer: Acting, form: Form) -> Response:
        done = approve(viewer.system, form.get("proposal", ""))
        notice = f"Approved: {done.get('redriven', 0)} records are published again."
        return console.done(viewer, "/dead-letters", notice)

    return router


def _asked(query: Mapping[str, str]) -> dict[str, str]:
    return {name: query[name] for name in FILTERS if query.get(name)}


def _once(letters: list[Row]) -> list[Row]:
    """Return each event once: several consumers may have refused it."""
    first: dict[Any, Row] = {}
    for letter in letters:
        first.setdefault((letter["topic"], letter["event_id"] or letter["source"]), letter)
    return list(first.values())


def _outcome(done: Row, count: int) -> str:
    if "proposal" in done:
        return f"Proposed: {count} records. A second person approves it below; you cannot."
    return f"{done['redriven']} record is published to its topic again, with the same id."
