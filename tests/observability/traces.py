"""A trace of Jaeger's API."""

from collections.abc import Mapping
from typing import Any

from testbed.span_tree import Hop

UNKNOWN = "?"


class JaegerTrace:
    """The spans of one trace, each with the name of its service.

    If a span is linked to its own parent, Jaeger has one reference, FOLLOWS_FROM.
    """

    def __init__(self, trace: Mapping[str, Any]) -> None:
        self._spans = {span["spanID"]: span for span in trace.get("spans", [])}
        self._processes = trace.get("processes", {})

    def _named(self, span: Mapping[str, Any]) -> str:
        return f"{self._processes[span['processID']]['serviceName']} {span['operationName']}"

    def _parent(self, span: Mapping[str, Any]) -> str | None:
        within = [one for one in span["references"] if one["traceID"] == span["traceID"]]
        within.sort(key=lambda one: one["refType"] != "CHILD_OF")
        return within[0]["spanID"] if within else None

    def name_of(self, span_id: str) -> str | None:
        """Return a span's name with its service's, or None for an unknown span."""
        return self._named(self._spans[span_id]) if span_id in self._spans else None

    @property
    def hops(self) -> set[Hop]:
        """Return parent and child names; `UNKNOWN` for a missing parent."""
        return {
            (self._named(self._spans[up]) if up in self._spans else UNKNOWN, self._named(span))
            for span in self._spans.values()
            if (up := self._parent(span)) is not None
        }

    @property
    def roots(self) -> list[str]:
        """Return the spans without a parent."""
        return [self._named(one) for one in self._spans.values() if self._parent(one) is None]

    @property
    def trace_ids(self) -> set[str]:
        """Return the trace ids of all spans."""
        return {span["traceID"] for span in self._spans.values()}

    @property
    def linked_to(self) -> set[str]:
        """Return the ids of linked traces."""
        links = [one["traceID"] for span in self._spans.values() for one in span["references"]]
        return set(links) - self.trace_ids
