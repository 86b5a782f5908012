"""Times for people: in the terminal's time zone, or in UTC with `--utc`."""

import re
from contextvars import ContextVar
from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer

from ops.domain.durations import span

_RFC3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")
_is_utc: ContextVar[bool] = ContextVar("_is_utc", default=False)


def _choose(chosen: bool) -> None:  # noqa: FBT001 - as typer calls it
    _is_utc.set(chosen)


Utc = Annotated[
    bool,
    typer.Option(
        "--utc",
        help="Show times in UTC instead of the terminal's time zone.",
        callback=_choose,
        expose_value=False,
    ),
]
"""For every command that shows times; the callback stores the value."""


def shown(moment: datetime) -> str:
    """Return date and time, to the millisecond, with the time zone."""
    local = _local(moment)
    return f"{local:%Y-%m-%d} {clock_time(moment)} {zone_of(moment)}"


def clock_time(moment: datetime) -> str:
    """Return a time of day, to the millisecond."""
    return _local(moment).isoformat(timespec="milliseconds")[11:23]


def zone_of(moment: datetime) -> str:
    """Return the name of the displayed time zone."""
    return _local(moment).tzname() or ""


def moment_in(text: str) -> datetime | None:
    """Return the time in an RFC 3339 text, else None."""
    return datetime.fromisoformat(text) if _RFC3339.fullmatch(text) else None


def distance(moment: datetime, now: datetime) -> str:
    """Return the distance to a time in its largest unit: `in 4 min`, `2 h ago`."""
    off = moment - now
    return f"in {span(off)}" if off >= timedelta() else f"{span(-off)} ago"


def _local(moment: datetime) -> datetime:
    return moment.astimezone(UTC if _is_utc.get() else None)
