"""Explanations and chat: who explains, what the language model costs, what chat refuses."""

from grafana_foundation_sdk.builders import dashboard as builder
from grafana_foundation_sdk.models import units

from observability.dashboards.panels import RATE, PanelText, Query, dashboard, graph, quantiles


def insight() -> builder.Dashboard:
    """Return the dashboard of the service insight."""
    rows = [("Explanations", _explanations()), ("Language model", _model()), ("Chat", _chat())]
    return dashboard("Explanations and chat", "insight", rows)


def _explanations() -> list[object]:
    return [
        graph(
            PanelText("Explanations", "A second, by source and reason.", units.RequestsPerSecond),
            Query(
                f"sum by (source, reason) (rate(explanations_total[{RATE}]))",
                "{{source}} {{reason}}",
            ),
        ),
        graph(
            PanelText("Cache", "Looks for a cached answer, by result.", units.RequestsPerSecond),
            Query(f"sum by (result) (rate(insight_cache_total[{RATE}]))", "{{result}}"),
        ),
    ]


def _model() -> list[object]:
    return [
        graph(
            PanelText("Calls", "Calls a second, by result.", units.RequestsPerSecond),
            Query(f"sum by (result) (rate(model_calls_total[{RATE}]))", "{{result}}"),
        ),
        graph(
            PanelText("Duration", "Of one call.", units.Seconds),
            *quantiles("model_call_duration_seconds"),
        ),
        graph(
            PanelText("Breaker", "0 closed, 1 half open, 2 open.", units.Short),
            Query("max(model_breaker_state)", "state"),
        ),
        graph(
            PanelText("Budget", "Share of the day's budget that is used.", units.PercentUnit),
            Query("max by (kind) (model_budget_used)", "{{kind}}"),
        ),
    ]


def _chat() -> list[object]:
    return [
        graph(
            PanelText("Questions", "A second, by outcome and reason.", units.RequestsPerSecond),
            Query(
                f"sum by (outcome, reason) (rate(chat_questions_total[{RATE}]))",
                "{{outcome}} {{reason}}",
            ),
            span=24,
        ),
    ]
