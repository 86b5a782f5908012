"""Card payments: a search, one with its transfers and choices, routing, a refund, a review."""

from collections.abc import Mapping
from typing import Annotated, Any
from urllib.parse import quote, urlencode

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from ops.console.frame import Console, act_of, box
from ops.console.sections import Section
from ops.console.viewers import Form, Viewer
from ops.domain.charge_reviews import DONE, review_of, waiting_of
from ops.domain.errors import RefusedError
from service_runtime.clock import Clock

SECTION = Section("Card payments", "/charges", "c")
OWNER, REFUND = "charges", "cases.approve"
"""The scope is that of reviews, too."""
STATUSES = (
    "CREATED", "AUTHORIZING", "AUTHORIZED", "CAPTURED", "DECLINED", "FAILED", "CANCELLED",
    "PARTIALLY_REFUNDED", "REFUNDED", "UNKNOWN",
)  # fmt: skip
PAGE = 50
FIELDS = ("status", "provider", "user_id")
HOURS = 24


def routes(console: Console, clock: Clock) -> APIRouter:
    """Return the routes."""
    router = APIRouter(include_in_schema=False)
    Operator = Annotated[Viewer, Depends(console.viewer)]  # noqa: N806 - a type

    @router.get("/charges")
    def listing(viewer: Operator, request: Request) -> Response:
        form = {name: value for name, value in request.query_params.items() if value}
        only = {name: form[name] for name in FIELDS if name in form}
        found = box(lambda: _listed(viewer, only, form.get("after")))
        more = found["value"] and found["value"]["next"]
        return console.page(
            viewer,
            "charges.html",
            form=form,
            found=found,
            statuses=STATUSES,
            query=urlencode(only),
            next=urlencode({**only, "after": more}) if more else "",
            review_of=review_of,
        )

    @router.get("/charges/reviews")
    def waiting(viewer: Operator, after: str | None = None) -> Response:
        found = box(lambda: viewer.system.get(OWNER, "/admin/reviews", after=after, limit=PAGE))
        more = found["value"] and found["value"]["next"]
        next_page = urlencode({"after": more}) if more else ""
        return console.page(
            viewer, "charge_reviews.html", found=found, next=next_page, review_of=review_of
        )

    @router.get("/charges/routing")
    def routing(viewer: Operator) -> Response:
        found = box(lambda: viewer.system.get(OWNER, "/admin/routing", hours=HOURS))
        return console.page(viewer, "routing.html", found=found, hours=HOURS)

    @router.get("/charges/{transaction_id}")
    def one(viewer: Operator, transaction_id: str) -> Response:
        found = viewer.system.get(OWNER, f"/admin/charges/{_part(transaction_id)}")
        left = left_minor(found)
        may = viewer.may(REFUND)
        return console.page(
            viewer,
            "charge.html",
            one=found,
            may=may and left > 0,
            left=left,
            review=review_of(found),
            waits=waiting_of(found),
            may_review=may,
        )

    _add_acts(router, console, clock)
    return router


def _add_acts(router: APIRouter, console: Console, clock: Clock) -> None:
    Acting = Annotated[Viewer, Depends(act_of(console, REFUND))]  # noqa: N806 - a type

    @router.post("/charges/{transaction_id}/refund")
    def refund(viewer: Acting, transaction_id: str, form: Form) -> Response:
        path = f"/admin/charges/{_part(transaction_id)}/refunds"
        viewer.system.post(OWNER, path, body_of(form), key=str(clock.new_id()))
        return console.done(viewer, f"/charges/{_part(transaction_id)}", "The refund is sent.")

    @router.post("/charges/{transaction_id}/review")
    def review(viewer: Acting, transaction_id: str, form: Form) -> Response:
        body, part = decision_of(form), _part(transaction_id)
        key = str(clock.new_id())
        viewer.system.post(OWNER, f"/admin/reviews/{part}", body, key=key)
        done = DONE.get((form.get("waits", ""), body["approve"]), "The decision is kept.")
        return console.done(viewer, f"/charges/{part}", done)


def _listed(viewer: Viewer, only: Mapping[str, str], after: str | None) -> Any:
    return viewer.system.get(OWNER, "/admin/charges", after=after, limit=PAGE, **only)


def left_minor(charge: Mapping[str, Any]) -> int:
    """Return what may still be refunded, in minor units."""
    taken = sum(charge[f"{name}_minor"] for name in ("refunding", "refunded", "disputed"))
    return int(charge["captured_minor"] - taken)


def body_of(form: Mapping[str, str]) -> dict[str, Any]:
    """Return the body of a refund; raise RefusedError for an amount that is none."""
    note, amount = form.get("note", "").strip(), form.get("amount", "").strip()
    if not note:
        raise RefusedError("note: must say why", "")
    if not amount:
        return {"note": note}
    if not (amount.isascii() and amount.isdigit() and int(amount) > 0):
        raise RefusedError("amount: must be a number of the currency's minor unit", "")
    return {"note": note, "amount": int(amount)}


def decision_of(form: Mapping[str, str]) -> dict[str, Any]:
    """Return the body of a review; raise RefusedError for one without a decision or a reason."""
    note, decision = form.get("note", "").strip(), form.get("decision", "")
    if decision not in ("approve", "reject"):
        raise RefusedError("decision: must be approve or reject", "")
    if not note:
        raise RefusedError("note: must say why", "")
    return {"approve": decision == "approve", "note": note}


def _part(transaction_id: str) -> str:
    return quote(transaction_id, safe="")
