"""The system: services, topics, outboxes, and the invariants of the continuous check."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends
from fastapi.responses import Response

from ops.clients.system import Readiness, System
from ops.clients.topics import run_query, sizes_of
from ops.console.frame import Console, box
from ops.console.sections import Section
from ops.console.viewers import Viewer
from ops.domain.findings import NAMES_OF_FULL, OwnerFigures
from ops.domain.rows import Row

SECTION = Section("System", "/system", "s")
KAFKA_WITHIN_S = 8.0
MOST_ASKED_AT_ONCE = 8


@dataclass(frozen=True, slots=True)
class Checked:
    """The last round of the continuous check, which this process runs."""

    checked_at: datetime | None
    owners: Mapping[str, OwnerFigures]
    violations: Mapping[str, int]
    counts: Mapping[str, int]
    """Items checked, by invariant."""
    missing: Sequence[str]


def routes(console: Console, checked: Callable[[], Checked]) -> APIRouter:
    """Return the routes; each box is a part of its own."""
    router = APIRouter(include_in_schema=False)
    Operator = Annotated[Viewer, Depends(console.viewer)]  # noqa: N806 - a type

    @router.get(SECTION.path)
    def page(viewer: Operator) -> Response:
        return console.page(viewer, "system.html")

    @router.get("/system/services")
    def services(viewer: Operator) -> Response:
        found = ready(viewer.system)
        return console.part(viewer, "parts/services.html", found=found)

    @router.get("/system/checks")
    def checks(viewer: Operator) -> Response:
        return console.part(viewer, "parts/checks.html", found=checked(), names=NAMES_OF_FULL)

    @router.get("/system/topics")
    def topics(viewer: Operator) -> Response:
        found = box(lambda: _topics(viewer.system))
        return console.part(viewer, "parts/topics.html", box=found)

    return router


def ready(system: System) -> list[Readiness]:
    """Return every known process, those with a fault first."""
    with ThreadPoolExecutor(MOST_ASKED_AT_ONCE) as pool:
        found = list(pool.map(system.readiness, sorted(system.addresses.urls)))
    return sorted(found, key=lambda one: (one.fault is None, one.name))


def _topics(system: System) -> list[Row]:
    """Return the topics with their partitions and the records that they hold; dead letters last."""
    brokers = system.addresses.brokers()
    sizes = run_query(sizes_of(brokers), brokers, KAFKA_WITHIN_S)
    partitions = Counter(topic for topic, _ in sizes)
    records: Counter[str] = Counter()
    for (topic, _), count in sizes.items():
        records[topic] += count
    rows = [
        {"topic": name, "partitions": partitions[name], "records": records[name]}
        for name in partitions
    ]
    return sorted(rows, key=lambda row: (row["topic"].endswith("-dlq"), row["topic"]))
