"""Observes a run: each commit, and the tables at its end."""

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

from confirm.domain.payment import FINAL, LEGAL, Payment, Status
from payment_schemas.cloudevents import MalformedRecordError, read_attributes
from payment_schemas.ids import RequestId
from service_runtime.messages import Record
from testkit.memory import Tables

if TYPE_CHECKING:
    from simulated_world import World

ENDED = ("SETTLED", "REJECTED")


@dataclass(frozen=True)
class Violation:
    """A violated invariant."""

    invariant: str
    details: str

    def __str__(self) -> str:
        return f"{self.invariant} {self.details}"


@dataclass
class Watcher:
    """Records the steps of payments and instructions at each commit."""

    now: Callable[[], datetime]
    broken: list[Violation] = field(default_factory=list)
    seen: set[str] = field(default_factory=set)
    """Statuses of instructions."""
    steps: defaultdict[UUID, list[tuple[Status, int]]] = field(
        default_factory=lambda: defaultdict(list)
    )
    made_by: dict[UUID, tuple[RequestId, datetime]] = field(default_factory=dict)
    """By payment: its command and the time of creation."""

    def see_confirm(self, before: Tables, after: Tables) -> None:
        old_rows = before.own["payment"]
        for name, row in after.own["payment"].items():
            old = old_rows.get(name)
            if old is not row:
                self._payment(old, row)
        self._kept("I1", "payment", old_rows, after.own["payment"])

    def _payment(self, old: Payment | None, new: Payment) -> None:
        if old is None or old.status is not new.status:
            self.steps[new.id].append((new.status, new.version))
        if old is None:
            self.made_by[new.id] = new.request_id, new.created_at
            return
        is_late = old.due_at is not None and old.due_at <= new.updated_at
        if is_late and old.status is not new.status and new.reason != "timed_out":
            self._note("I14", f"payment {new.id}: {new.status} past its deadline")
        # One transaction may fold several steps; each step is one version.
        grown = new.version - old.version
        if old.status is not new.status and (old.status in FINAL or grown < 1):
            self._note("I6", f"payment {new.id}: {old.status} -> {new.status}")
        if grown == 1 and (old.status, new.status) not in LEGAL:
            self._note("I4", f"payment {new.id}: {old.status} -> {new.status}")
        if old.status is new.status and grown not in (0, 2):
            self._note("I4", f"payment {new.id}: version {old.version} -> {new.version}")
        moved_back = new.settlement_version < old.settlement_version
        if moved_back or (old.settlement_status in ENDED and old != new):
            self._note("I6", f"payment {new.id}: settlement goes back")

    def see_settlement(self, before: Tables, after: Tables) -> None:
        old_rows = before.own["instruction"]
        for name, row in after.own["instruction"].items():
            old = old_rows.get(name)
            if old is None or old is row:
                continue
            self.seen.add(f"instruction {row.status}")
            if row.version < old.version or (old.status in ENDED and row.status != old.status):
                self._note("I6", f"instruction {name}: {old.status} -> {row.status}")
            if row.uetr != old.uetr:
                self._note("I2", f"instruction {name}: another UETR")
        self._kept("I1", "instruction", old_rows, after.own["instruction"])

    def _kept(self, invariant: str, what: str, old: dict[Any, Any], new: dict[Any, Any]) -> None:
        for name in old.keys() - new.keys():
            self._note(invariant, f"{what} {name} has vanished")

    def _note(self, invariant: str, details: str) -> None:
        self.broken.append(Violation(invariant, details))


def tables_of(world: "World", service: str) -> Any:
    return world.simulation.storages[service].tables.own


def payments_of(world: "World") -> list[Payment]:
    return list(tables_of(world, "confirm")["payment"].values())


def id_of(record: Record) -> UUID | None:
    try:
        return read_attributes(record.headers)[1].id
    except MalformedRecordError:
        return None
