"""Latencies and firing alerts, where a Prometheus observes the system."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx

from ops.domain.errors import UnavailableError

ANSWER_WITHIN_S = 2.0
QUANTILES = {"p50": 0.5, "p99": 0.99}
WINDOW = "5 min"
_DURATION = (
    "histogram_quantile({q}, sum by (le) (rate(payment_confirm_duration_seconds_bucket[5m])))"
)
_CODES = "sum by (result) (increase(otp_validation_total[5m]))"
ACCEPTED = "valid"
"""The result of otp for a code that was right, in time, and for this payment."""


@dataclass(frozen=True, slots=True)
class Alert:
    """An alert that fires."""

    name: str
    severity: str
    summary: str
    runbook: str
    active_at: str


@dataclass(frozen=True, slots=True)
class Codes:
    """One-time codes that were checked."""

    accepted: int
    checked: int


class Prometheus:
    """One Prometheus. Methods raise UnavailableError where it is away."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._http = httpx.Client(follow_redirects=False, timeout=ANSWER_WITHIN_S, trust_env=False)

    def latencies_ms(self) -> dict[str, float | None]:
        """Return the quantiles of confirming a payment in the last five minutes."""
        return {name: self._ms(_DURATION.format(q=q)) for name, q in QUANTILES.items()}

    def codes(self) -> Codes:
        """Return the one-time codes that were checked in the last five minutes."""
        rows = self._get("/api/v1/query", {"query": _CODES})["result"]
        counts = {row["metric"].get("result", ""): float(row["value"][1]) for row in rows}
        return Codes(round(counts.get(ACCEPTED, 0)), round(sum(counts.values())))

    def firing(self) -> list[Alert]:
        """Return the alerts that fire, the oldest first."""
        found = [_alert(one) for one in self._get("/api/v1/alerts", {})["alerts"]]
        return sorted((one for one in found if one), key=lambda one: one.active_at)

    def _ms(self, query: str) -> float | None:
        rows = self._get("/api/v1/query", {"query": query})["result"]
        value = float(rows[0]["value"][1]) if rows else float("nan")
        return None if value != value else value * 1000  # noqa: PLR0124 - NaN: no requests

    def _get(self, path: str, query: Mapping[str, str]) -> Any:
        if not self._url:
            raise UnavailableError("no Prometheus is configured", "make observe")
        try:
            return self._http.get(self._url + path, params=query).raise_for_status().json()["data"]
        except (httpx.HTTPError, ValueError, KeyError, TypeError):
            what = "Prometheus, which has latencies and alerts, does not respond"
            raise UnavailableError(what, "make observe") from None


def _alert(row: Mapping[str, Any]) -> Alert | None:
    if row.get("state") != "firing":
        return None
    labels, notes = row["labels"], row["annotations"]
    return Alert(
        labels["alertname"],
        labels.get("severity", ""),
        notes.get("summary", ""),
        notes.get("runbook_url", "").rpartition("/")[2],
        str(row.get("activeAt", "")),
    )
