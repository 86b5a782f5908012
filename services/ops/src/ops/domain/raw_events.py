"""A payment's events side by side: a column an event, a line a field. Pure."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ops.domain.rows import Row
from payment_schemas.events.base import Event
from payment_schemas.registry import EVENTS

MOST_CHARACTERS = 400
"""Of a value that is shown; the audit log has it whole."""
_BY_TOPIC: Mapping[str, type[Event]] = {event.topic: event for event in EVENTS}


@dataclass(frozen=True, slots=True)
class Column:
    """One event: its type with the version of its schema, and where its record lies."""

    row: Row
    type: str
    """Such as `settlement.requested.v1`."""
    unknown: Sequence[str]
    """Fields that the schema of this version does not have here: from a newer release."""
    note: str
    """What of the record is not shown."""


@dataclass(frozen=True, slots=True)
class Line:
    """One field in all events; None where an event has no such field."""

    name: str
    cells: Sequence[str | None]

    @property
    def differs(self) -> bool:
        """Whether two events have different values."""
        return len({cell for cell in self.cells if cell is not None}) > 1


@dataclass(frozen=True, slots=True)
class SideBySide:
    """All events of a payment."""

    columns: Sequence[Column]
    lines: Sequence[Line]


def side_by_side(rows: Sequence[Row]) -> SideBySide:
    """Return events as columns, and their fields as lines: those that most events have first."""
    fields = [_fields(row) for row in rows]
    counts: dict[str, int] = {}
    for one in fields:
        for name in one:
            counts[name] = counts.get(name, 0) + 1
    names = sorted(counts, key=lambda name: -counts[name])
    lines = [Line(name, [_cell(one, name) for one in fields]) for name in names]
    return SideBySide([_column(row) for row in rows], lines)


def _column(row: Row) -> Column:
    kind = _BY_TOPIC.get(row["topic"])
    known = set(kind.model_fields) if kind else set()
    # What is stored as columns has the audit log's own names.
    unknown = sorted(set(_fields(row)) - known) if kind and row["is_raw"] else []
    return Column(row, kind.ce_type if kind else row["topic"], unknown, _note(row))


def _note(row: Row) -> str:
    if row["fields"] is None:
        return "not readable"
    return "" if row["is_raw"] else "stored without its sealed fields"


def _fields(row: Row) -> Mapping[str, Any]:
    found = row["fields"]
    return found if isinstance(found, Mapping) else {}


def _cell(fields: Mapping[str, Any], name: str) -> str | None:
    if name not in fields:
        return None
    value = fields[name]
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= MOST_CHARACTERS else f"{text[:MOST_CHARACTERS]}…"
