"""Charges: what becomes of card payments, by provider, with time and cost.

Each panel shows 0 where the group `rails` does not run.
"""

from dataclasses import replace

from grafana_foundation_sdk.builders import dashboard as builder
from grafana_foundation_sdk.models import units

from observability.dashboards.panels import RATE, PanelText, Query, dashboard, graph, quantiles


def charges() -> builder.Dashboard:
    """Return the dashboard of card payments."""
    return dashboard(
        "Charges",
        "charges",
        [("Charges", _outcomes()), ("Providers", _providers()), ("For people", _people())],
    )


def _outcomes() -> list[object]:
    return [
        graph(
            PanelText("Charges", "Changes of charges a second, by status.", units.Short),
            Query(f"sum by (status) (rate(charges_total[{RATE}])) or vector(0)", "{{status}}"),
        ),
        graph(
            PanelText(
                "Accepted",
                "Share of the first calls of a provider that it accepts.",
                units.PercentUnit,
            ),
            Query(
                'sum by (provider) (rate(provider_calls_total{call="authorize",'
                f'reply=~"AUTHORIZED|CAPTURED"}}[{RATE}])) / sum by (provider)'
                f' (rate(provider_calls_total{{call="authorize"}}[{RATE}])) or vector(0)',
                "{{provider}}",
            ),
        ),
        graph(
            PanelText("Cost", "Minor units an hour, by provider and currency.", units.Short),
            Query(
                "sum by (provider, currency) (increase(charge_costs_total[1h])) or vector(0)",
                "{{provider}} {{currency}}",
            ),
        ),
    ]


def _providers() -> list[object]:
    return [
        graph(
            PanelText("Calls", "Calls of providers a second, by kind of reply.", units.Short),
            Query(
                f"sum by (provider, reply) (rate(provider_calls_total[{RATE}])) or vector(0)",
                "{{provider}} {{reply}}",
            ),
        ),
        graph(
            PanelText("Duration", "Of calls of providers.", units.Seconds),
            *(
                replace(one, expr=f"{one.expr} or vector(0)")
                for one in quantiles("provider_call_duration_seconds", by="provider")
            ),
        ),
    ]


def _people() -> list[object]:
    return [
        graph(
            PanelText("Disputes", "In an hour, by status.", units.Short),
            Query(
                "sum by (status) (increase(charge_disputes_total[1h])) or vector(0)", "{{status}}"
            ),
        ),
        graph(
            PanelText(
                "Contradictions",
                "Replies that contradict what was decided, in an hour.",
                units.Short,
            ),
            Query(
                "sum by (provider) (increase(charge_contradictions_total[1h])) or vector(0)",
                "{{provider}}",
            ),
        ),
    ]
