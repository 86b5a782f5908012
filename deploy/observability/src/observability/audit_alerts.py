"""The alert on the checkpoints of the audit log."""

from observability.alert import Alert
from observability.timing import Timing

LATE_S = 300
"""A checkpoint is made each minute; four may fail."""


def audit_alerts(timing: Timing) -> list[Alert]:
    """Return the alert on late checkpoints."""
    return [
        Alert(
            "AuditCheckpointLate",
            f"max(audit_checkpoint_age) > {LATE_S}",
            timing.hold("1m"),
            "ticket",
            "the audit log has had no checkpoint for {{ $value | humanizeDuration }}",
        )
    ]
