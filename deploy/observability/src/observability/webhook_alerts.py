"""The alerts on webhooks. An endpoint that fails is its owner's; what is ours is a backlog."""

from observability.alert import Alert
from observability.timing import Timing

BACKLOG_S = 60
PARKED = 100
"""Deliveries given up in an hour: one owner's outage of a day is less, ours touches everybody."""


def webhook_alerts(timing: Timing) -> list[Alert]:
    """Return the alerts on the sender."""
    window = timing.window("1h")
    return [
        Alert(
            "WebhooksBacklog",
            f"max(webhook_backlog_age) > {BACKLOG_S}",
            timing.hold("5m"),
            "ticket",
            "webhook deliveries to endpoints that respond wait for {{ $value }} s",
        ),
        Alert(
            "WebhooksFailing",
            f"sum(increase(webhook_deliveries_failed_total[{window}])) > {PARKED}",
            "0s",
            "ticket",
            "{{ $value }} webhook deliveries were given up in an hour",
        ),
    ]
