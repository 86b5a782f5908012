"""Log lines: of one trace, of one payment, or the latest of all."""

from grafana_foundation_sdk.builders import dashboard as builder
from grafana_foundation_sdk.models import units

from observability.dashboards.panels import PanelText, dashboard, lines

_TALL = 24


def logs() -> builder.Dashboard:
    """Return the dashboard to which a trace links for its log lines; it needs no sign-in."""
    text = PanelText("Lines", "An opened line has the link to its trace.", units.Short)
    filters = '| trace_id=~"$trace_id.*" | payment_id=~"$payment_id.*"'
    variables = {"trace_id": "Trace id", "payment_id": "Payment id"}
    return dashboard("Logs", "logs", [("Logs", [lines(text, filters, _TALL)])], variables)
