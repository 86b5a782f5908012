"""A payment's timeline: its steps over all services, and the time between them. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from ops.domain.durations import span
from ops.domain.rows import Row

GAP = timedelta(seconds=1)
"""A pause that is shown: below it all is one flow."""
NOISE = frozenset({"payment_id", "transaction_id", "user_id", "uetr", "request_id"})
"""Fields of an entry that the page's head has already."""
_EMITTERS = {"risk.explained.v1": "insight"}
"""Of topics whose first word is another service's name."""


@dataclass(frozen=True, slots=True)
class Step:
    """One entry of the timeline."""

    at: datetime
    after: timedelta | None
    """The time since the step before; None for the first one."""
    service: str
    """The service that has emitted it."""
    row: Row
    details: Mapping[str, Any]

    @property
    def gap(self) -> str:
        """The pause before it in words, empty where it is short."""
        return span(self.after) if self.after is not None and self.after >= GAP else ""


def steps_of(rows: Sequence[Row]) -> list[Step]:
    """Return the steps of a timeline in order."""
    steps: list[Step] = []
    for row in rows:
        at = datetime.fromisoformat(row["created_at"])
        after = at - steps[-1].at if steps else None
        steps.append(Step(at, after, emitter_of(row["topic"]), row, _details(row["metadata"])))
    return steps


def emitter_of(topic: str) -> str:
    """Return the service that emits an event of a payment: confirm asks, others respond."""
    first = _EMITTERS.get(topic, topic.partition(".")[0])
    asks = topic.endswith("-requested.v1") or first in ("payment", "review", "settlement-queue")
    return "confirm" if asks else first


def _details(metadata: Mapping[str, Any]) -> dict[str, Any]:
    shown = {name: value for name, value in metadata.items() if name not in NOISE}
    return {name: _short(value) for name, value in shown.items() if value not in (None, "", [])}


def _short(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(_short(one) for one in value)
    if isinstance(value, dict):
        return " ".join(str(one) for one in value.values())
    return str(value)
