"""The alerts on fraud models."""

from observability.alert import Alert
from observability.timing import Timing

DRIFTED = 0.25
"""Of the population stability index: much has changed. Source: Siddiqi, Credit Risk Scorecards."""


def fraud_alerts(timing: Timing) -> list[Alert]:
    """Return the alerts on drift, on calibration, and on payments without a score."""
    return [
        Alert(
            "FraudModelDrift",
            f"max by (feature) (fraud_psi) > {DRIFTED}",
            timing.hold("10m"),
            "ticket",
            "the fraud model sees other payments than it was trained on: {{ $labels.feature }}",
        ),
        Alert(
            "FraudModelMiscalibrated",
            "max(fraud_calibration_ratio) > 2 or max(fraud_calibration_ratio) < 0.5",
            timing.hold("30m"),
            "ticket",
            "{{ $value | humanize }} frauds are reported for each one that the model expects",
        ),
        Alert(
            "FraudModelUnavailable",
            "sum(rate(risk_model_unavailable_total[5m]))"
            " / sum(rate(risk_assessment_total[5m])) > 0.05",
            timing.hold("5m"),
            "ticket",
            "risk assesses payments without the fraud model's score: they get 20 points instead",
        ),
    ]
