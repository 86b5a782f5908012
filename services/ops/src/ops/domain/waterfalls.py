"""A trace as a waterfall: its spans below one another, each from its start to its end. Pure."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

MOST_SPANS = 200
"""Lines of a waterfall; a payment has some fifty spans."""
WIDTH = 1000
"""Units of the drawing, from the trace's start to its end."""


@dataclass(frozen=True, slots=True)
class Span:
    """One span of a trace; times in µs."""

    id: str
    parent: str
    service: str
    name: str
    started_us: int
    took_us: int
    has_failed: bool


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a waterfall."""

    span: Span
    depth: int
    after_ms: float
    """Since the trace's start."""
    left: int
    """Of WIDTH, as the width is."""
    width: int


@dataclass(frozen=True, slots=True)
class Waterfall:
    """A trace."""

    lines: Sequence[Line]
    took_ms: float
    spans: int
    services: int


def span_of(raw: Mapping[str, Any], service: str) -> Span:
    """Return a span of Jaeger's API.

    Of a span that is linked to its own parent, Jaeger keeps one reference, FOLLOWS_FROM.
    """
    within = [one for one in raw["references"] if one["traceID"] == raw["traceID"]]
    parents = sorted(within, key=lambda one: one["refType"] != "CHILD_OF")
    tags = {tag["key"]: tag["value"] for tag in raw["tags"]}
    return Span(
        id=raw["spanID"],
        parent=parents[0]["spanID"] if parents else "",
        service=service,
        name=raw["operationName"],
        started_us=int(raw["startTime"]),
        took_us=int(raw["duration"]),
        has_failed=tags.get("error") is True or tags.get("otel.status_code") == "ERROR",
    )


def waterfall_of(spans: Sequence[Span]) -> Waterfall | None:
    """Return the spans as a tree by start; None without spans. A lost parent makes a root."""
    if not spans:
        return None
    first = min(one.started_us for one in spans)
    whole = max(1, max(one.started_us + one.took_us for one in spans) - first)
    lines = [_line(span, depth, first, whole) for span, depth in _tree(spans)]
    services = len({one.service for one in spans})
    return Waterfall(lines[:MOST_SPANS], whole / 1000, len(spans), services)


def _tree(spans: Sequence[Span]) -> Iterator[tuple[Span, int]]:
    known = {one.id for one in spans}
    children: dict[str, list[Span]] = defaultdict(list)
    for one in sorted(spans, key=lambda span: (-span.started_us, span.id)):
        children[one.parent if one.parent in known and one.parent != one.id else ""].append(one)
    left = [(one, 0) for one in children[""]]
    while left:
        span, depth = left.pop()
        yield span, depth
        left += [(one, depth + 1) for one in children[span.id]]


def _line(span: Span, depth: int, first: int, whole: int) -> Line:
    after = span.started_us - first
    width = max(2, round(WIDTH * span.took_us / whole))
    left = min(round(WIDTH * after / whole), WIDTH - 2)
    return Line(span, depth, after / 1000, left, min(width, WIDTH - left))
