"""The parts of one payment's page that load when they are opened: events, relations, trace."""

from collections.abc import Sequence
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Path
from fastapi.responses import Response

from ops.clients.jaeger import Jaeger
from ops.clients.listings import EVENTS, WEBHOOKS
from ops.clients.payments import explanation_of, find_payments
from ops.clients.searching import search_payments
from ops.clients.system import System
from ops.console.frame import Console, box
from ops.console.viewers import Viewer
from ops.domain.errors import RefusedError
from ops.domain.raw_events import side_by_side
from ops.domain.related import Related, related_to
from ops.domain.rows import Row
from ops.domain.waterfalls import WIDTH, waterfall_of

NEWEST = 50
"""Payments of the customer and to the payee that are compared."""
TraceId = Annotated[str, Path(pattern=r"^[0-9a-f]{32}$")]


def routes(console: Console, jaeger: Jaeger) -> APIRouter:
    """Return the routes."""
    router = APIRouter(prefix="/payments", include_in_schema=False)
    Operator = Annotated[Viewer, Depends(console.viewer)]  # noqa: N806 - a type

    @router.get("/{payment_id}/webhooks")
    def webhooks(viewer: Operator, payment_id: UUID) -> Response:
        is_known = WEBHOOKS.owner in viewer.system.addresses.urls
        found = box(lambda: viewer.system.rows(WEBHOOKS, payment_id=payment_id)) if is_known else {}
        return console.part(viewer, "parts/webhooks.html", box=found)

    @router.get("/{payment_id}/explanation")
    def explanation(viewer: Operator, payment_id: UUID) -> Response:
        found = box(lambda: explanation_of(viewer.system, str(payment_id)))
        return console.part(viewer, "parts/explanation.html", box=found)

    @router.get("/{payment_id}/events")
    def events(viewer: Operator, payment_id: UUID) -> Response:
        found = box(lambda: side_by_side(viewer.system.rows(EVENTS, payment_id=payment_id)))
        return console.part(viewer, "parts/events.html", box=found)

    @router.get("/{payment_id}/related")
    def related(viewer: Operator, payment_id: UUID) -> Response:
        found = box(lambda: _related(viewer.system, str(payment_id)))
        return console.part(viewer, "parts/related.html", box=found)

    @router.get("/traces/{trace_id}")
    def trace(viewer: Operator, trace_id: TraceId) -> Response:
        found = box(lambda: waterfall_of(jaeger.spans(trace_id)))
        return console.part(viewer, "parts/trace.html", box=found, width=WIDTH)

    return router


def _related(system: System, payment_id: str) -> dict[str, Any]:
    payment = _one(find_payments(system, payment_id, None), payment_id)
    of_customer = search_payments(system, {"user_id": payment["user_id"]}, None, NEWEST)
    to_payee = search_payments(system, {"account": payment["to_account"]}, None, NEWEST)
    rows: list[Related] = related_to(payment, [*of_customer.payments, *to_payee.payments])
    return {"rows": rows, "searched_to": to_payee.searched_to, "payment": payment}


def _one(found: Sequence[Row], payment_id: str) -> Row:
    if not found:
        raise RefusedError(f"no payment has the id {payment_id}", "")
    return found[0]
