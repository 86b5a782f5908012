"""The alerts on explanations. No payment waits for one: both are tickets."""

from observability.alert import Alert
from observability.timing import Timing

SHARE = 0.5
"""Of the explanations for which a model was asked: the rest is by the template."""
LEAST = 20
"""Explanations in the window; of fewer, a share says nothing."""


def insight_alerts(timing: Timing) -> list[Alert]:
    """Return the alerts on a model that is of no use, and on its budget."""
    window = timing.window("15m")
    calls = 'reason!~"no_model|budget"'
    asked = f"sum(increase(explanations_total{{{calls}}}[{window}]))"
    failed = f'sum(increase(explanations_total{{source="template",{calls}}}[{window}]))'
    return [
        Alert(
            "ExplanationsWithoutModel",
            f"{failed} > {SHARE} * {asked} and on () {asked} > {LEAST}",
            timing.hold("5m"),
            "ticket",
            "{{ $value | humanize }} explanations in 15 minutes are by the template: the language"
            " model fails, or says what it must not",
        ),
        Alert(
            "ModelBudgetSpent",
            f'sum(increase(explanations_total{{reason="budget"}}[{window}])) > 0',
            "0s",
            "ticket",
            "the language model's budget of the day is used up: templates explain",
        ),
    ]
