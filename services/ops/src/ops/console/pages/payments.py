"""Payments: a search with an address, its export, and one payment with all that is known of it."""

import csv
import io
import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Request
from fastapi.responses import RedirectResponse, Response, StreamingResponse

from ops.clients.payments import find_payments, overview_of
from ops.clients.searching import MOST_EXPORTED, PAGE, export_payments, search_payments
from ops.console.frame import Console, box
from ops.console.sections import Section
from ops.console.viewers import Viewer
from ops.domain.errors import AmbiguousError, RefusedError
from ops.domain.rows import Row
from ops.domain.searches import STATES, BadSearchError, asked_of
from ops.domain.timelines import steps_of
from service_runtime.clock import Clock

SECTION = Section("Payments", "/payments", "p")
EXPORTED = (
    "payment_id",
    "transaction_id",
    "user_id",
    "state",
    "settlement_status",
    "amount",
    "currency",
    "from_account",
    "to_account",
    "risk_score",
    "reason",
    "reference",
    "uetr",
    "created_at",
    "updated_at",
)
_FORMULA = re.compile(r"^[=+\-@\t\r]")


def routes(console: Console, clock: Clock) -> APIRouter:
    """Return the routes."""
    router = APIRouter(include_in_schema=False)
    Operator = Annotated[Viewer, Depends(console.viewer)]  # noqa: N806 - a type

    @router.get("/payments")
    def listing(viewer: Operator, request: Request) -> Response:
        form = dict(request.query_params)
        try:
            asked = asked_of(form)
        except BadSearchError as error:
            return _listed(console, viewer, form, {"value": None, "away": None}, str(error))
        found = box(lambda: search_payments(viewer.system, asked, form.get("after")))
        if asked.get("id") and found["value"] and len(found["value"].payments) == 1:
            [payment] = found["value"].payments
            return RedirectResponse(f"/payments/{payment['payment_id']}", 303)
        return _listed(console, viewer, form, found)

    @router.get("/payments.csv")
    def export(viewer: Operator, request: Request) -> Response:
        asked = _asked(dict(request.query_params))
        headers = {"Content-Disposition": 'attachment; filename="payments.csv"'}
        lines = _csv(export_payments(viewer.system, asked))
        return StreamingResponse(lines, media_type="text/csv; charset=utf-8", headers=headers)

    @router.get("/payments/{name}")
    def one(viewer: Operator, name: str) -> Response:
        known = overview_of(viewer.system, _one(viewer, name), clock.now())
        steps = steps_of(known.timeline)
        return console.page(viewer, "payment.html", known=known, steps=steps)

    return router


def _listed(
    console: Console,
    viewer: Viewer,
    form: Mapping[str, str],
    found: Mapping[str, Any],
    fault: str = "",
) -> Response:
    kept = {name: value for name, value in form.items() if value and name != "after"}
    more = found["value"] and found["value"].next
    return console.page(
        viewer,
        "payments.html",
        form=form,
        found=found,
        fault=fault,
        states=STATES,
        most=MOST_EXPORTED,
        page=PAGE,
        query=urlencode(kept),
        next=urlencode({**kept, "after": more}) if more else "",
    )


def _asked(form: Mapping[str, str]) -> Mapping[str, Any]:
    try:
        return asked_of(form)
    except BadSearchError as error:
        raise RefusedError(str(error), "") from None


def _one(viewer: Viewer, name: str) -> Row:
    found = find_payments(viewer.system, name, None)
    if not found:
        raise RefusedError(f"no payment has the id {name}", "")
    if len(found) > 1:
        raise AmbiguousError(f"{len(found)} payments match {name}", "")
    return found[0]


def _csv(payments: Iterator[Row]) -> Iterator[str]:
    """Yield the lines of a table; a value that a spreadsheet would calculate is quoted as text."""
    yield ",".join(EXPORTED) + "\r\n"
    for payment in payments:
        line = io.StringIO()
        csv.writer(line).writerow([_cell(payment.get(name)) for name in EXPORTED])
        yield line.getvalue()


def _cell(value: Any) -> str:
    text = "" if value is None else str(value)
    return f"'{text}" if _FORMULA.match(text) else text
