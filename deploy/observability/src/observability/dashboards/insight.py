"""Explanations and chat: who explains, what the language model costs, what chat refuses.

Where the service does not run, every panel shows 0.
"""

from grafana_foundation_sdk.builders import dashboard as builder
from grafana_foundation_sdk.models import units

from observability.dashboards.panels import RATE, PanelText, Query, dashboard, graph


def insight() -> builder.Dashboard:
    """Return the dashboard of the service insight."""
    rows = [("Explanations", _explanations()), ("Language model", _model()), ("Chat", _chat())]
    return dashboard("Explanations and chat", "insight", rows)


def _rates(metric: str, *labels: str) -> Query:
    """Return the rates of a counter by labels; 0 without any."""
    by = ", ".join(labels)
    legend = " ".join(f"{{{{{label}}}}}" for label in labels)
    return Query(f"sum by ({by}) (rate({metric}_total[{RATE}])) or vector(0)", legend)


def _explanations() -> list[object]:
    return [
        graph(
            PanelText("Explanations", "A second, by source and reason.", units.RequestsPerSecond),
            _rates("explanations", "source", "reason"),
        ),
        graph(
            PanelText("Cache", "Looks for a cached answer, by result.", units.RequestsPerSecond),
            _rates("insight_cache", "result"),
        ),
    ]


def _model() -> list[object]:
    slowest = f"sum by (le) (rate(model_call_duration_seconds_bucket[{RATE}]))"
    return [
        graph(
            PanelText("Calls", "Calls a second, by result.", units.RequestsPerSecond),
            _rates("model_calls", "result"),
        ),
        graph(
            PanelText("Duration", "Of one call: 95 of 100 are shorter.", units.Seconds),
            Query(f"histogram_quantile(0.95, {slowest}) or vector(0)", "p95"),
        ),
        graph(
            PanelText("Breaker", "0 closed, 1 half open, 2 open.", units.Short),
            Query("max(model_breaker_state) or vector(0)", "state"),
        ),
        graph(
            PanelText("Budget", "Share of the day's budget that is used.", units.PercentUnit),
            Query("max by (kind) (model_budget_used) or vector(0)", "{{kind}}"),
        ),
    ]


def _chat() -> list[object]:
    return [
        graph(
            PanelText("Questions", "A second, by outcome and reason.", units.RequestsPerSecond),
            _rates("chat_questions", "outcome", "reason"),
            span=24,
        ),
    ]
