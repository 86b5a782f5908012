"""Identity checks: those that wait for a person, one person's with documents, a decision."""

from typing import Annotated
from urllib.parse import quote, urlencode

from fastapi import APIRouter, Depends, Request
from fastapi.responses import RedirectResponse, Response

from ops.clients import identity_checks
from ops.console.frame import Console, act_of, box
from ops.console.sections import Section
from ops.console.viewers import Form, Viewer
from service_runtime.clock import Clock

SECTION = Section("Identity checks", "/identity-checks", "i")
WRITE = "compliance.write"


def routes(console: Console, clock: Clock) -> APIRouter:
    """Return the routes; compliance decides which rounds wait, and audits each read of a person."""
    router = APIRouter(include_in_schema=False)
    Operator = Annotated[Viewer, Depends(console.viewer)]  # noqa: N806 - a type
    Acting = Annotated[Viewer, Depends(act_of(console, WRITE))]  # noqa: N806 - a type

    @router.get(SECTION.path)
    def page(viewer: Operator, request: Request) -> Response:
        query = request.query_params
        if user := query.get("user_id", "").strip():
            return RedirectResponse(_path(user), 303)
        state = query.get("state", "")
        state = state if state in identity_checks.STATES else identity_checks.STATES[0]
        found = box(lambda: identity_checks.listed(viewer.system, state, query.get("after")))
        more = found["value"] and found["value"]["next"]
        return console.page(
            viewer, "identity_checks.html", found=found, state=state,
            states=identity_checks.STATES,
            next=urlencode({"state": state, "after": more}) if more else "",
        )  # fmt: skip

    @router.get(SECTION.path + "/{user_id}")
    def one(viewer: Operator, user_id: str) -> Response:
        found = identity_checks.of_user(viewer.system, user_id)
        may, decisions = viewer.may(WRITE), identity_checks.DECISIONS
        return console.page(viewer, "identity_check.html", one=found, may=may, decisions=decisions)

    @router.get(SECTION.path + "/{user_id}/documents/{document_id}")
    def document(viewer: Operator, user_id: str, document_id: str) -> Response:
        content = identity_checks.document(viewer.system, user_id, document_id)
        name = quote(f"document-{document_id}", safe="")
        headers = {
            "Content-Disposition": f'attachment; filename="{name}"',
            "Cache-Control": "no-store",
        }
        return Response(content, 200, headers, "application/octet-stream")

    @router.post(SECTION.path + "/{user_id}/decide")
    def decide(viewer: Acting, user_id: str, form: Form) -> Response:
        decision, reason = form.get("decision", ""), form.get("reason", "").strip()
        key = str(clock.new_id())
        done = identity_checks.decide(viewer.system, user_id, decision, reason, key)
        status = done["status"].lower()
        return console.done(viewer, _path(user_id), f"Decided. The person is {status}.")

    return router


def _path(user_id: str) -> str:
    return f"{SECTION.path}/{quote(user_id, safe='')}"
