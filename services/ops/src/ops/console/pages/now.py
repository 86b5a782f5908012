"""The first page: what happens now, each figure with its unit and window."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends
from fastapi.responses import RedirectResponse, Response

from ops.clients.listings import CASES, MOST_CASES
from ops.clients.prometheus import WINDOW, Prometheus
from ops.clients.system import System
from ops.clients.topics import lags_of, run_query
from ops.console.frame import Console, box
from ops.console.sections import Section
from ops.console.viewers import Viewer
from ops.domain.activity import rates_of
from ops.domain.findings import NAMES_OF_FULL

SECTION = Section("Now", "/now", "n")
KAFKA_WITHIN_S = 8.0


@dataclass(frozen=True, slots=True)
class Figures:
    """The results of the continuous check, which this process runs."""

    dead_letters: int
    parked: int
    violations: Mapping[str, int]
    missing: tuple[str, ...]
    checked_at: datetime | None


def routes(console: Console, figures: Callable[[], Figures], prometheus: Prometheus) -> APIRouter:
    """Return the routes of the page; its boxes are parts that renew themselves."""
    router = APIRouter(include_in_schema=False)
    Operator = Annotated[Viewer, Depends(console.viewer)]  # noqa: N806 - a type

    @router.get("/")
    def first(_viewer: Operator) -> Response:
        return RedirectResponse("/now", 303)

    @router.get("/now")
    def page(viewer: Operator) -> Response:
        return console.page(viewer, "now.html")

    @router.get("/now/payments")
    def payments(viewer: Operator) -> Response:
        found = box(lambda: _activity(viewer.system))
        return console.part(viewer, "parts/now_payments.html", box=found)

    @router.get("/now/latency")
    def latency(viewer: Operator) -> Response:
        found = box(lambda: {"ms": prometheus.latencies_ms(), "codes": prometheus.codes()})
        return console.part(viewer, "parts/now_latency.html", box=found, window=WINDOW)

    @router.get("/now/consumers")
    def consumers(viewer: Operator) -> Response:
        found = box(lambda: _lags(viewer.system))
        return console.part(viewer, "parts/now_consumers.html", box=found)

    @router.get("/now/settlement")
    def settlement(viewer: Operator) -> Response:
        found = box(lambda: viewer.system.get("settlement", "/admin/instructions/open"))
        return console.part(viewer, "parts/now_settlement.html", box=found)

    @router.get("/now/checks")
    def checks(viewer: Operator) -> Response:
        known = {"figures": figures(), "names": NAMES_OF_FULL}
        return console.part(viewer, "parts/now_checks.html", **known)

    @router.get("/now/cases")
    def cases(viewer: Operator) -> Response:
        found = box(lambda: viewer.system.rows(CASES, limit=MOST_CASES))
        return console.part(viewer, "parts/now_cases.html", box=found)

    @router.get("/now/alerts")
    def alerts(viewer: Operator) -> Response:
        return console.part(viewer, "parts/now_alerts.html", box=box(prometheus.firing))

    return router


def _lags(system: System) -> dict[str, int]:
    """Return the lag of every consumer that has committed, the furthest behind first."""
    brokers = system.addresses.brokers()
    found = run_query(lags_of(brokers, system.addresses.owners()), brokers, KAFKA_WITHIN_S)
    return dict(sorted(found.items(), key=lambda one: (-one[1], one[0])))


def _activity(system: System) -> dict[str, Any]:
    found = system.get("confirm", "/admin/payments/activity")
    return {"rates": rates_of(found), "in_flight": found["in_flight"], **found}
