"""Grafana's provisioning file with the same alerts, for notifications.

Source of the format: Grafana's file provisioning of alerting. The query contains the threshold; the
second node fires for any value of the query. `$` is doubled, because Grafana substitutes
environment variables in provisioning files.
"""

from pathlib import Path
from typing import Any

import yaml

from local_stack.layout import CHECKOUT
from observability.alert import Alert
from observability.alerts import alerts
from observability.timing import Timing

PROVISIONING_FILE = Path("deploy/observability/grafana/provisioning/alerting/rules.yaml")
NOTIFICATIONS_FILE = CHECKOUT / PROVISIONING_FILE
_HEADER = "# Generated from deploy/observability: `make generate`.\n"


def notifications_text() -> str:
    """Return the content of the file."""
    group = {
        "orgId": 1,
        "name": "countersign",
        "folder": "Countersign",
        "interval": "30s",
        "rules": [_rule(one) for one in alerts(Timing())],
    }
    document = {"apiVersion": 1, "groups": [group]}
    text: str = yaml.safe_dump(document, sort_keys=False, width=100)
    return _HEADER + text


def _rule(one: Alert) -> dict[str, Any]:
    summary = one.summary.replace("$value", "$values.value.Value")
    return {
        "uid": one.name,
        "title": one.name,
        "condition": "fires",
        "for": one.hold,
        "noDataState": "OK",
        "execErrState": "Error",
        "labels": {"severity": one.severity},
        "annotations": {"summary": _escaped(summary), "runbook_url": one.runbook_url},
        "data": [_query(one.expr), _fires_for_any_value()],
    }


def _query(expr: str) -> dict[str, Any]:
    model = {"refId": "value", "expr": _escaped(expr), "instant": True, "range": False}
    window = {"from": 600, "to": 0}
    return {
        "refId": "value",
        "relativeTimeRange": window,
        "datasourceUid": "prometheus",
        "model": model,
    }


def _fires_for_any_value() -> dict[str, Any]:
    expression = "is_number($$value) || is_nan($$value) || is_inf($$value)"
    model = {"refId": "fires", "type": "math", "expression": expression}
    return {"refId": "fires", "datasourceUid": "__expr__", "model": model}


def _escaped(text: str) -> str:
    return text.replace("$", "$$")
