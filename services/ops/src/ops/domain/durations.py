"""Durations in words. Pure."""

from datetime import timedelta


def span(length: timedelta) -> str:
    """Return a duration in its largest unit; a negative one is `0 s`."""
    seconds = max(0, int(length.total_seconds()))
    for unit, unit_s in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= unit_s:
            return f"{seconds // unit_s} {unit}"
    return f"{seconds} s"
