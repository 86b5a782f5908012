"""Converts Grafana's dashboards for VictoriaMetrics' page: PromQL panels, row by row."""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

_WINDOWS = {"$__rate_interval": "1m", "$__interval": "15s", "$__range": "1h"}
_VARIABLE = re.compile(r"\$\{?\w+\}?")
_FIRST = "payment-confirm"
# Grafana's unit names, which this page would print after each number.
_UNSPOKEN = {"short": "", "percentunit": "", "reqps": "/s"}
_WIDTH = {8: 4, 12: 6, 16: 8, 24: 12, 4: 4}


def write_pages(dashboards: Path, folder: Path) -> None:
    """Convert every dashboard of a folder, one file each; the page shows them by file name.

    What somebody on call opens first comes first.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for stale in folder.glob("*.json"):
        stale.unlink()
    in_order = sorted(dashboards.glob("*.json"), key=lambda path: (path.stem != _FIRST, path.stem))
    for number, path in enumerate(in_order):
        converted = page(json.loads(path.read_text()))
        if converted["rows"]:
            (folder / f"{number}-{path.name}").write_text(json.dumps(converted))


def page(dashboard: Mapping[str, Any]) -> dict[str, Any]:
    """One dashboard. Panels of anything but metrics are left out: there is no Loki here."""
    rows: list[dict[str, Any]] = []
    for panel in dashboard["panels"]:
        if panel["type"] == "row":
            rows.append({"title": panel["title"], "panels": []})
        elif _source(panel) == "prometheus":
            rows[-1]["panels"].append(_panel(panel))
    return {"title": dashboard["title"], "rows": [row for row in rows if row["panels"]]}


def _source(panel: Mapping[str, Any]) -> str:
    return str(panel["datasource"]["type"])


def _panel(panel: Mapping[str, Any]) -> dict[str, Any]:
    targets: Sequence[Mapping[str, Any]] = panel["targets"]
    unit = panel["fieldConfig"]["defaults"]["unit"]
    return {
        "title": panel["title"],
        "description": panel["description"],
        "unit": _UNSPOKEN.get(unit, unit),
        "expr": [filled_in(target["expr"]) for target in targets],
        "alias": [_alias(target["legendFormat"]) for target in targets],
        "width": _WIDTH[panel["gridPos"]["w"]],
    }


def filled_in(expr: str) -> str:
    """PromQL without Grafana's variables."""
    for variable, value in _WINDOWS.items():
        expr = expr.replace(variable, value)
    return _VARIABLE.sub(".*", expr)


def _alias(legend: str) -> str:
    return "" if legend == "__auto" else legend
