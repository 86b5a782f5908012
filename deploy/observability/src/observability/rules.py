"""Prometheus' rule files, from the objectives and the alerts."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from local_stack.layout import CHECKOUT
from observability.alert import Alert
from observability.alerts import alerts
from observability.objectives import OBJECTIVES, recorded
from observability.timing import Timing

RULES_FOLDER = CHECKOUT / "deploy" / "observability" / "rules"
GROUPS = ("countersign.recording", "countersign.objectives", "countersign.alerts")
_HEADER = "# Generated from deploy/observability: `make generate`.\n"


def rule_files(timing: Timing) -> Mapping[str, str]:
    """Return the content of each file by name."""
    return {
        "recording.rules.yml": _file([_recording(timing), _objectives(timing)]),
        "alerts.rules.yml": _file([_alerts(timing)]),
    }


def write_rules(folder: Path, timing: Timing) -> None:
    """Write the rule files into a folder, for a separate Prometheus."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in rule_files(timing).items():
        (folder / name).write_text(text, encoding="utf-8")


def _recording(timing: Timing) -> dict[str, Any]:
    window = timing.window("5m")
    rules = {
        "payments:confirm_failed_ratio:rate5m": "(sum(rate(payment_confirm_total"
        f'{{status="failed"}}[{window}])) or vector(0))\n'
        f"/ sum(rate(payment_confirm_total[{window}]))",
        "payments:otp_failure_ratio:rate5m": "(sum(rate(otp_validation_total"
        f'{{result!="valid"}}[{window}])) or vector(0))\n'
        f"/ sum(rate(otp_validation_total[{window}]))",
        "payments:confirm_duration:p99_rate5m": "histogram_quantile(0.99, sum by (le)"
        f" (rate(payment_confirm_duration_seconds_bucket[{window}])))",
        "kafka:consumer_lag:sum": "sum by (group, topic) (kafka_consumer_group_lag)",
        "kafka:consumer_drain_seconds": "sum by (group, topic) (kafka_consumer_group_lag)\n"
        "/ clamp_min(sum by (group, topic)"
        f" (rate(kafka_consumer_group_offset[{window}])), 0.1)",
        # Each dependency has its own metric: its name becomes a label.
        "dependency:breaker_state": 'label_replace({__name__=~"breaker_state_.+"},'
        ' "dependency", "$1", "__name__", "breaker_state_(.+)")',
    }
    return {
        "name": "countersign.recording",
        "rules": [{"record": name, "expr": expr} for name, expr in rules.items()],
    }


def _objectives(timing: Timing) -> dict[str, Any]:
    rules = [
        {"record": name, "expr": expr}
        for objective in OBJECTIVES
        for name, expr in recorded(objective, timing)
    ]
    return {"name": "countersign.objectives", "rules": rules}


def _alerts(timing: Timing) -> dict[str, Any]:
    return {"name": "countersign.alerts", "rules": [_alert(one) for one in alerts(timing)]}


def _alert(one: Alert) -> dict[str, Any]:
    return {
        "alert": one.name,
        "expr": one.expr,
        "for": one.hold,
        "labels": {"severity": one.severity},
        "annotations": {"summary": one.summary, "runbook_url": one.runbook_url},
    }


def _file(groups: list[dict[str, Any]]) -> str:
    text: str = yaml.dump({"groups": groups}, Dumper=_Dumper, sort_keys=False, width=100)
    return _HEADER + text


class _Dumper(yaml.SafeDumper):
    """Writes multi-line strings as blocks."""


def _represent(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _represent)
