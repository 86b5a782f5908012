"""Log lines: of one trace, of one payment, or the latest of all."""

from grafana_foundation_sdk.builders import dashboard as builder
from grafana_foundation_sdk.models import units

from observability.dashboards.panels import Told, dashboard, lines

_TALL = 24


def logs() -> builder.Dashboard:
    """Where a trace's link to its log lines leads: whoever may look at dashboards may read it."""
    told = Told("Lines", "A line that is opened leads to its trace.", units.Short)
    wanted = '| trace_id=~"$trace_id.*" | payment_id=~"$payment_id.*"'
    asked = {"trace_id": "Trace id", "payment_id": "Payment id"}
    return dashboard("Logs", "logs", [("Logs", [lines(told, wanted, _TALL)])], asked)
