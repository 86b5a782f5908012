"""What a report says. Pure."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Report:
    """What one run of the job has made."""

    due_at: datetime
    made_at: datetime
    instance: int


def report_of(due_at: datetime, made_at: datetime, instance: int) -> Report:
    """Return the report of a due time; it is not made before."""
    return Report(due_at, max(due_at, made_at), instance)
