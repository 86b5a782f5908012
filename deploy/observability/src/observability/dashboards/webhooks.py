"""Webhooks: how long messages take, how calls end, what waits."""

from grafana_foundation_sdk.builders import dashboard as builder
from grafana_foundation_sdk.models import units

from observability.dashboards.panels import RATE, PanelText, Query, dashboard, graph, quantiles


def webhooks() -> builder.Dashboard:
    """Return the dashboard of deliveries to clients' endpoints."""
    return dashboard("Webhooks", "webhooks", [("Deliveries", _deliveries()), ("Lanes", _lanes())])


def _deliveries() -> list[object]:
    return [
        graph(
            PanelText("Change to delivery", "Of messages that needed one call.", units.Seconds),
            *quantiles("webhook_delivery_delay_seconds"),
        ),
        graph(
            PanelText("Calls", "Calls a second, by result.", units.RequestsPerSecond),
            Query(f"sum by (result) (rate(webhook_calls_total[{RATE}]))", "{{result}}"),
        ),
        graph(
            PanelText("Given up", "Deliveries that were parked, in an hour.", units.Short),
            Query("sum(increase(webhook_deliveries_failed_total[1h])) or vector(0)", "in an hour"),
        ),
    ]


def _lanes() -> list[object]:
    return [
        graph(
            PanelText("Oldest due", "Of the endpoints that respond at once.", units.Seconds),
            Query("max(webhook_backlog_age)", "oldest"),
        ),
        graph(
            PanelText("Calls in progress", "Fast lanes, and all others.", units.Short),
            Query("sum by (lanes) (webhook_calls_open)", "{{lanes}}"),
        ),
        graph(
            PanelText("Endpoints off", "Switched off because they fail.", units.Short),
            Query("max(webhook_endpoints_off)", "off"),
        ),
    ]
