"""Partner banks: how they are connected, what waits at them, and what an operator can do."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Depends
from fastapi.responses import Response

from ops.clients.listings import PARTNER_ACTIVITY
from ops.clients.partner_profiles import activity_of, change
from ops.console.frame import Console, act_of, box
from ops.console.sections import Section
from ops.console.viewers import Form, Viewer
from ops.domain.errors import RefusedError

SECTION = Section("Partners", "/partners", "b")
WRITE = "partners.write"
DONE = {
    "suspend": "Nothing more is sent to the bank. Its instructions wait.",
    "resume": "The bank gets its instructions again, those that have waited first.",
    "keys": "The bank's keys are replaced.",
    "replay": "The instructions are published again, under their ids.",
}
"""Acts, and what is true after each."""


def routes(console: Console) -> APIRouter:
    """Return the routes."""
    router = APIRouter(include_in_schema=False)
    Operator = Annotated[Viewer, Depends(console.viewer)]  # noqa: N806 - a type
    Acting = Annotated[Viewer, Depends(act_of(console, WRITE))]  # noqa: N806 - a type

    @router.get(SECTION.path)
    def page(viewer: Operator) -> Response:
        return console.page(viewer, "partners.html")

    @router.get("/partners/now")
    def now(viewer: Operator) -> Response:
        found = box(lambda: viewer.system.rows(PARTNER_ACTIVITY))
        return console.part(viewer, "parts/partners.html", box=found)

    @router.get("/partners/{partner}")
    def one(viewer: Operator, partner: str) -> Response:
        found = activity_of(viewer.system, partner)
        return console.page(viewer, "partner.html", one=found, may=viewer.may(WRITE))

    @router.post("/partners/{partner}/{act}")
    def act(viewer: Acting, partner: str, act: str, form: Form) -> Response:
        if act not in DONE:
            raise RefusedError("act: unknown", "")
        change(viewer.system, partner, act, _body(act, form))
        return console.done(viewer, f"/partners/{quote(partner, safe='')}", DONE[act])

    return router


def _body(act: str, form: Mapping[str, str]) -> dict[str, Any]:
    """Return the body of an act; raise RefusedError for a field that is not one."""
    if act == "keys":
        return {"keys": _keys(form.get("keys", ""))}
    if act != "replay":
        return {}
    uetr, since = form.get("uetr", "").strip(), form.get("since", "")
    if bool(uetr) is bool(since):
        raise RefusedError("since, uetr: exactly one of them must be given", "")
    return {"uetr": uetr} if uetr else {"since": _moment(since)}


def _keys(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise RefusedError("keys: must be a JSON Web Key Set", "") from None


def _moment(text: str) -> str:
    try:
        return datetime.fromisoformat(text).replace(tzinfo=UTC).isoformat()
    except ValueError:
        raise RefusedError("since: must be a time in UTC", "") from None
