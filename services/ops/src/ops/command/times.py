"""Times as people read them: in the terminal's zone, or in UTC with `--utc`."""

import re
from contextvars import ContextVar
from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer

_RFC3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")
_is_utc: ContextVar[bool] = ContextVar("_is_utc", default=False)


def _choose(chosen: bool) -> None:  # noqa: FBT001 - as typer calls it
    _is_utc.set(chosen)


Utc = Annotated[
    bool,
    typer.Option(
        "--utc",
        help="Show times in UTC, not in the terminal's zone.",
        callback=_choose,
        expose_value=False,
    ),
]
"""For every command that shows times; nothing needs its value."""


def shown(moment: datetime) -> str:
    """Return a time of day with its date, to the millisecond, and the zone that it is told in."""
    local = _local(moment)
    return f"{local:%Y-%m-%d} {clock_time(moment)} {zone_of(moment)}"


def clock_time(moment: datetime) -> str:
    """Return a time of day, to the millisecond."""
    return _local(moment).isoformat(timespec="milliseconds")[11:23]


def zone_of(moment: datetime) -> str:
    """Return the name of the zone that a time is told in."""
    return _local(moment).tzname() or ""


def moment_in(text: str) -> datetime | None:
    """Return the time that a text says, where it says one as our services do."""
    return datetime.fromisoformat(text) if _RFC3339.fullmatch(text) else None


def distance(moment: datetime, now: datetime) -> str:
    """Return how far off a time is, in its largest unit: `in 4 min`, `2 h ago`."""
    off = moment - now
    return f"in {span(off)}" if off >= timedelta() else f"{span(-off)} ago"


def span(length: timedelta) -> str:
    """Return a length of time in its largest unit; what is below zero is nothing."""
    seconds = max(0, int(length.total_seconds()))
    for unit, unit_s in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= unit_s:
            return f"{seconds // unit_s} {unit}"
    return f"{seconds} s"


def _local(moment: datetime) -> datetime:
    return moment.astimezone(UTC if _is_utc.get() else None)
