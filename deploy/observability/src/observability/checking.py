"""Checks dashboards on a Prometheus: every query of every panel must return numbers."""

import json
import math
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from local_stack.telemetry.vmui import filled_in

MOST_LINES = 20
"""VictoriaMetrics' page draws at most this many lines."""
_STEP_S = 5
_TIMEOUT_S = 20


@dataclass(frozen=True, slots=True)
class PanelQuery:
    """One query of one panel."""

    dashboard: str
    panel: str
    expr: str

    def __str__(self) -> str:
        return f"{self.dashboard} / {self.panel}"


@dataclass(frozen=True, slots=True)
class Prometheus:
    """A client of Prometheus. Methods raise httpx.HTTPError."""

    url: str

    def has_data(self, expr: str, *, last_s: int = 120) -> bool:
        """Return whether a query has at least one number over the last seconds."""
        now_s = self._now_s()
        answer = self._get(
            "/api/v1/query_range",
            query=filled_in(expr),
            start=now_s - last_s,
            end=now_s,
            step=_STEP_S,
        )
        values = [float(value) for series in answer["result"] for _, value in series["values"]]
        return any(not math.isnan(value) for value in values)

    def values(self, expr: str) -> dict[tuple[tuple[str, str], ...], float]:
        """Return the current value of each series by its labels (sorted)."""
        found = self._get("/api/v1/query", query=expr)["result"]
        return {tuple(sorted(one["metric"].items())): float(one["value"][1]) for one in found}

    def firing(self) -> dict[str, list[Mapping[str, str]]]:
        """Return the firing alerts: name → the labels of each."""
        fired: dict[str, list[Mapping[str, str]]] = {}
        for alert in self._get("/api/v1/alerts")["alerts"]:
            if alert["state"] == "firing":
                fired.setdefault(alert["labels"]["alertname"], []).append(alert["labels"])
        return fired

    def exemplars(self, metric: str, *, last_s: int = 300) -> list[str]:
        """Return the trace ids of a histogram's exemplars, oldest first."""
        now_s = self._now_s()
        series = self._get("/api/v1/query_exemplars", query=metric, start=now_s - last_s, end=now_s)
        found = [dot for one in series for dot in one["exemplars"]]
        found.sort(key=lambda dot: float(dot["timestamp"]))
        return [dot["labels"]["trace_id"] for dot in found if "trace_id" in dot["labels"]]

    def _now_s(self) -> float:
        return float(self._get("/api/v1/query", query="time()")["result"][1])

    def _get(self, path: str, **query: Any) -> Any:
        answer = httpx.get(self.url + path, params=query, timeout=_TIMEOUT_S)
        if answer.is_client_error:
            raise ValueError(f"{path} {query}: {answer.json()['error']}")
        return answer.raise_for_status().json()["data"]


def panel_queries(folder: Path) -> Iterator[PanelQuery]:
    """Yield every query to Prometheus of the dashboards in a folder."""
    for path in sorted(folder.glob("*.json")):
        dashboard = json.loads(path.read_text(encoding="utf-8"))
        for panel in dashboard["panels"]:
            if panel["type"] != "row" and panel["datasource"]["type"] == "prometheus":
                for target in panel["targets"]:
                    yield PanelQuery(path.stem, panel["title"], target["expr"])


def queries_without_data(prometheus: Prometheus, folder: Path) -> list[PanelQuery]:
    """Return the queries without data."""
    return [one for one in panel_queries(folder) if not prometheus.has_data(one.expr)]


def panels_with_too_many_lines(prometheus: Prometheus, folder: Path) -> dict[str, int]:
    """Return the panels with more lines than the native page draws, with their number."""
    drawn: Counter[str] = Counter()
    for query in panel_queries(folder):
        drawn[str(query)] += len(prometheus.values(filled_in(query.expr)))
    return {panel: lines for panel, lines in drawn.items() if lines > MOST_LINES}
