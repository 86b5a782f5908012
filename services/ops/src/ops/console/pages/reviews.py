"""Reviews: cases of suspicious activity and cash by deadline, and what two people decide.

Only operators with the scope `reviews.read` see the section; compliance leaves out what is about
the operator.
"""

import json
from collections.abc import Mapping
from datetime import date
from typing import Annotated, Any
from urllib.parse import quote, urlencode

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from ops.clients import reviews
from ops.console.frame import Console, act_of, box
from ops.console.sections import Section
from ops.console.viewers import Form, Viewer
from ops.domain.errors import RefusedError
from service_runtime.clock import Clock

READ, WRITE = "reviews.read", "reviews.write"
SECTION = Section("Reviews", "/reviews", "v", READ)
PAGE = 50
FILTERS = {"state": ("OPEN", "ASSIGNED", "ESCALATED", "CLOSED"), "kind": ("SAR", "CTR")}
DONE = {
    "assign": "The case is assigned.",
    "escalate": "The case is escalated.",
    "notes": "The note is kept.",
    "suspect": "The deadline follows from it.",
    "close": "Proposed. A second person has to approve it within a day.",
}
"""Acts, and what is true after each."""


def routes(console: Console, clock: Clock) -> APIRouter:
    """Return the routes."""
    router = APIRouter(include_in_schema=False)

    def reader(request: Request) -> Viewer:
        viewer = console.viewer(request)
        viewer.need(READ)
        return viewer

    Reader = Annotated[Viewer, Depends(reader)]  # noqa: N806 - a type
    Acting = Annotated[Viewer, Depends(act_of(console, WRITE))]  # noqa: N806 - a type

    @router.get(SECTION.path)
    def page(viewer: Reader, request: Request) -> Response:
        asked = _asked(request.query_params)
        found = box(lambda: reviews.queue(viewer.system, **asked, limit=PAGE))
        chosen = {name: text for name, text in asked.items() if name != "after"}
        return console.page(
            viewer, "reviews.html", box=found, asked=asked, query=urlencode(chosen),
            filters=FILTERS, today=clock.now().date(), days_left=days_left,
        )  # fmt: skip

    @router.get("/reviews/{case_id}")
    def one(viewer: Reader, case_id: str) -> Response:
        found = reviews.review_of(viewer.system, case_id)
        return console.page(
            viewer, "review.html", case=found, outcomes=reviews.OUTCOMES,
            proposed=reviews.proposed_end(viewer.system, case_id), may=viewer.may(WRITE),
            today=clock.now().date(), days_left=days_left,
        )  # fmt: skip

    @router.get("/reviews/{case_id}/draft.xml")
    def draft(viewer: Reader, case_id: str) -> Response:
        document = reviews.draft_of(viewer.system, case_id)
        return _file(document, "application/xml", f"draft-{case_id}.xml")

    @router.get("/reviews/{case_id}/evidence.json")
    def evidence(viewer: Reader, case_id: str) -> Response:
        text = json.dumps(reviews.review_of(viewer.system, case_id), indent=2)
        return _file(text, "application/json", f"case-{case_id}.json")

    @router.post("/reviews/{case_id}/approve")
    def approve(viewer: Acting, case_id: str, form: Form) -> Response:
        proposal, digest = form.get("proposal", ""), form.get("digest", "")
        done = reviews.approve_end(viewer.system, proposal, digest)
        return console.done(viewer, _path(case_id), f"The case is closed: {done['outcome']}.")

    @router.post("/reviews/{case_id}/{verb}")
    def act(viewer: Acting, case_id: str, verb: str, form: Form) -> Response:
        if verb not in DONE:
            raise RefusedError("act: unknown", "")
        reviews.act(viewer.system, case_id, verb, _body(verb, form))
        return console.done(viewer, _path(case_id), DONE[verb])

    return router


def days_left(due_on: str, today: date) -> int:
    """Return the days until a deadline; negative ones are over it."""
    return (date.fromisoformat(due_on) - today).days


def _asked(query: Mapping[str, str]) -> dict[str, str]:
    known = {name: query[name] for name in FILTERS if query.get(name) in FILTERS[name]}
    return known | ({"after": query["after"]} if query.get("after") else {})


def _body(verb: str, form: Mapping[str, str]) -> dict[str, Any]:
    """Return the body of an act; compliance checks it."""
    text = form.get("text", "").strip()
    match verb:
        case "assign":
            return {}
        case "suspect":
            return {"known": form.get("known") == "yes", "text": text}
        case "close":
            return {"outcome": form.get("outcome", ""), "text": text}
        case _:
            return {"text": text}


def _path(case_id: str) -> str:
    return f"/reviews/{quote(case_id, safe='')}"


def _file(text: str, media_type: str, name: str) -> Response:
    """Return a file to keep, which no cache has and no page shows."""
    headers = {
        "Content-Disposition": f'attachment; filename="{quote(name)}"',
        "Cache-Control": "no-store",
    }
    return Response(text, media_type=media_type, headers=headers)
