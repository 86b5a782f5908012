"""Dead letters: in groups, one by one with masked data; published again, or discarded by two."""

from collections.abc import Mapping
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Request
from fastapi.responses import RedirectResponse, Response

from ops.clients.discards import MOST_DISCARDED, concerned_of
from ops.clients.listings import DEAD_LETTERS, DISCARDS
from ops.clients.proposals import approve, of_owner
from ops.clients.redriving import MOST_REDRIVEN
from ops.console.frame import Console, act_of, box
from ops.console.sections import Section
from ops.console.viewers import Form, Viewer
from ops.domain.concerns import concern_of
from ops.domain.errors import RefusedError
from ops.domain.rows import Row
from service_runtime.clock import Clock

SECTION = Section("Dead letters", "/dead-letters", "d")
SCOPE = "dlq.redrive"
PAGE = 50
FILTERS = ("topic", "reason", "error_class", "id", "discarded")


def routes(console: Console, clock: Clock) -> APIRouter:
    """Return the routes."""
    router = APIRouter(include_in_schema=False)
    Operator = Annotated[Viewer, Depends(console.viewer)]  # noqa: N806 - a type
    Acting = Annotated[Viewer, Depends(act_of(console, SCOPE))]  # noqa: N806 - a type

    @router.get("/dead-letters")
    def page(viewer: Operator, request: Request) -> Response:
        query = urlencode(_asked(request.query_params))
        after = request.query_params.get("discards", "")
        return console.page(viewer, "dead_letters.html", query=query, discards=after)

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

    _add_discards(router, console, clock)
    return router


def _add_discards(router: APIRouter, console: Console, clock: Clock) -> None:
    Operator = Annotated[Viewer, Depends(console.viewer)]  # noqa: N806 - a type
    Acting = Annotated[Viewer, Depends(act_of(console, SCOPE))]  # noqa: N806 - a type

    @router.get("/dead-letters/discards")
    def discards(viewer: Operator, after: str | None = None) -> Response:
        found = box(lambda: viewer.system.get("ops", DISCARDS.path, after=after, limit=PAGE))
        return console.part(viewer, "parts/discards.html", box=found)

    @router.get("/dead-letters/discard")
    def preview(viewer: Operator, request: Request) -> Response:
        viewer.need(SCOPE)
        asked = _asked(request.query_params)
        if not asked:
            return RedirectResponse("/dead-letters", 303)
        found = viewer.system.get("ops", DEAD_LETTERS.path, **asked, limit=MOST_DISCARDED)
        letters = [{**one, "concerns": concern_of(one["data"])} for one in found["letters"]]
        return console.page(
            viewer,
            "discard.html",
            letters=letters,
            total=found["total"],
            most=MOST_DISCARDED,
            payments=box(lambda: concerned_of(viewer.system, letters)),
            query=urlencode(asked),
            key=str(clock.new_id()),
        )

    @router.post("/dead-letters/discard")
    def propose(viewer: Acting, form: Form) -> Response:
        body = {"places": form.get("places", "").split(), "reason": form.get("why", "")}
        done = viewer.system.post("ops", DISCARDS.path, body, form.get("key"))
        notice = f"Proposed: {done['about']} to discard. A second person reads it and approves."
        return console.done(viewer, "/dead-letters", notice)


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
