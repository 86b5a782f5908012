"""Card payments: a search, one with its transfers and choices, routing, and a refund."""

from collections.abc import Mapping
from typing import Annotated, Any
from urllib.parse import quote, urlencode

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from ops.console.frame import Console, act_of, box
from ops.console.sections import Section
from ops.console.viewers import Form, Viewer
from ops.domain.errors import RefusedError
from service_runtime.clock import Clock

SECTION = Section("Card payments", "/charges", "c")
OWNER, REFUND = "charges", "cases.approve"
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
    Acting = Annotated[Viewer, Depends(act_of(console, REFUND))]  # noqa: N806 - a type

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
        )

    @router.get("/charges/routing")
    def routing(viewer: Operator) -> Response:
        found = box(lambda: viewer.system.get(OWNER, "/admin/routing", hours=HOURS))
        return console.page(viewer, "routing.html", found=found, hours=HOURS)

    @router.get("/charges/{transaction_id}")
    def one(viewer: Operator, transaction_id: str) -> Response:
        found = viewer.system.get(OWNER, f"/admin/charges/{_part(transaction_id)}")
        left = left_minor(found)
        return console.page(
            viewer, "charge.html", one=found, may=viewer.may(REFUND) and left > 0, left=left
        )

    @router.post("/charges/{transaction_id}/refund")
    def refund(viewer: Acting, transaction_id: str, form: Form) -> Response:
        path = f"/admin/charges/{_part(transaction_id)}/refunds"
        viewer.system.post(OWNER, path, body_of(form), key=str(clock.new_id()))
        return console.done(viewer, f"/charges/{_part(transaction_id)}", "The refund is sent.")

    return router


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


def _part(transaction_id: str) -> str:
    return quote(transaction_id, safe="")
