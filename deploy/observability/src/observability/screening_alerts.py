"""The alert on sanctions lists."""

from observability.alert import Alert
from observability.timing import Timing


def screening_alerts(timing: Timing) -> list[Alert]:
    """Return the alert on a changed list that is not used."""
    return [
        Alert(
            "SanctionsListRefused",
            "max(sanctions_lists_refused) > 0",
            timing.hold("5m"),
            "ticket",
            "a changed sanctions list cannot be used; the old one is searched",
        ),
    ]
