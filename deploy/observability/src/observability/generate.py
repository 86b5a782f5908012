"""Writes the dashboards and rules: `python -m observability.generate`."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path

from grafana_foundation_sdk.builders import dashboard as builder
from grafana_foundation_sdk.cog.encoder import JSONEncoder

from local_stack.generation import write
from local_stack.layout import CHECKOUT
from observability.dashboards.charges import charges
from observability.dashboards.insight import insight
from observability.dashboards.logs import logs
from observability.dashboards.messaging import messaging
from observability.dashboards.payments import payments
from observability.dashboards.services import services
from observability.dashboards.settlement import settlement
from observability.dashboards.webhooks import webhooks
from observability.notifications import NOTIFICATIONS_FILE, notifications_text
from observability.rules import RULES_FOLDER, rule_files
from observability.timing import Timing

DASHBOARDS_FOLDER = CHECKOUT / "grafana-dashboards"
DASHBOARDS: Mapping[str, Callable[[], builder.Dashboard]] = {
    "payment-confirm": payments,
    "settlement": settlement,
    "webhooks": webhooks,
    "charges": charges,
    "insight": insight,
    "messaging": messaging,
    "services": services,
    "logs": logs,
}


def generated_files() -> Mapping[Path, str]:
    """Return the content of each generated file."""
    dashboards = {
        DASHBOARDS_FOLDER / f"{name}.json": dashboard_text(made())
        for name, made in DASHBOARDS.items()
    }
    rules = {RULES_FOLDER / name: text for name, text in rule_files(Timing()).items()}
    return {**dashboards, **rules, NOTIFICATIONS_FILE: notifications_text()}


def dashboard_text(made: builder.Dashboard) -> str:
    """Return a dashboard as JSON for Grafana."""
    document = json.loads(JSONEncoder(sort_keys=True).encode(made.build()))
    return json.dumps(document, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    write(generated_files())
