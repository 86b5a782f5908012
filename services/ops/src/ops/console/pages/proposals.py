"""One proposal of another person: its content, and the approval of just that content."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends
from fastapi.responses import Response

from ops.clients.discards import concerned_of
from ops.clients.proposals import approve_as_read
from ops.console.frame import Console, box
from ops.console.viewers import Form, Viewer, check_act
from ops.domain.errors import RefusedError
from ops.domain.rows import Row


@dataclass(frozen=True, slots=True)
class Owner:
    """A service that keeps proposals."""

    scope: str
    """What an approver needs."""
    path: str
    """The page that lists them."""
    title: str


OWNERS: Mapping[str, Owner] = {
    "ops": Owner("dlq.redrive", "/dead-letters", "Dead letters"),
    "identity": Owner("identity.write", "/access", "Access"),
    "fraud": Owner("compliance.write", "/models", "Fraud models"),
}
LETTERS = "letters"
"""The member of a content that has dead letters."""


def routes(console: Console) -> APIRouter:
    """Return the routes; the read of a content is an audit row at its owner."""
    router = APIRouter(prefix="/proposals", include_in_schema=False)
    Operator = Annotated[Viewer, Depends(console.viewer)]  # noqa: N806 - a type

    @router.get("/{owner}/{proposal}")
    def page(viewer: Operator, owner: str, proposal: UUID) -> Response:
        known = _owner(owner)
        found = viewer.system.get(owner, f"/admin/proposals/{proposal}")
        letters = found["body"].get(LETTERS, [])
        return console.page(
            viewer,
            "proposal.html",
            one=found,
            owner=owner,
            known=known,
            facts=facts_of(found["body"]),
            letters=letters,
            payments=box(lambda: concerned_of(viewer.system, letters)),
        )

    @router.post("/{owner}/{proposal}/approve")
    def approve(viewer: Operator, owner: str, proposal: UUID, form: Form) -> Response:
        known = _owner(owner)
        check_act(viewer, form)
        viewer.need(known.scope)
        done = approve_as_read(viewer.system, owner, str(proposal), form.get("digest", ""))
        return console.done(viewer, known.path, outcome_of(done))

    return router


def facts_of(body: Row) -> dict[str, Any]:
    """Return a content's members for people, without those that have a table of their own."""
    shown = {name: value for name, value in body.items() if name not in (LETTERS, "places")}
    if LETTERS not in body and "places" in body:
        shown["places"] = body["places"]
    return {name: _plain(value) for name, value in shown.items()}


def outcome_of(done: Row) -> str:
    """Return what an approval has done, in a sentence."""
    if "discarded" in done:
        return f"Discarded: {done['discarded']} dead letters. The audit log has a row for each."
    if "redriven" in done:
        return f"Approved: {done['redriven']} records are published again."
    if "version" in done:
        return f"Approved: {done['version']} is {done['stage'].lower()} for {done['share']} %."
    about = done.get("client_id") or done.get("user") or "the proposal"
    return f"Approved: {about} is as it was proposed."


def _owner(name: str) -> Owner:
    if name not in OWNERS:
        raise RefusedError("owner: has no proposals here", "countersign proposals")
    return OWNERS[name]


def _plain(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(str(one) for one in value) or "none"
    return "none" if value in (None, "") else str(value)
