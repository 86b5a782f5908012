"""A service with one table, for tests of the runtime: it stores numbers and emits events.

`python -m testkit.probe TOPIC` runs it as a real consumer with the probe's settings.
"""

import asyncio
import os
import signal
import sys
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar
from uuid import UUID

from payment_schemas.events.base import Event
from payment_schemas.registry import BY_TYPE
from service_runtime.consumer import Handler
from service_runtime.errors import Rejected
from service_runtime.messages import Batch, Emit, Events, Received
from service_runtime.postgres import PostgresTransaction, json_rows
from service_runtime.process import Process, run
from service_runtime.service import Service
from service_runtime.settings import ServiceSettings, load
from testkit.memory import MemoryTransaction

DIES_BEFORE_COMMIT = "before-commit"
DIES_AFTER_COMMIT = "after-commit"
"""The point at which the process kills itself, once, at the number in PROBE_DIES_AT."""


class Numbered(Event):
    """A number. Read by the probe."""

    topic: ClassVar = "probe.numbered.v1"
    lane: str
    number: int

    @property
    def key(self) -> str:
        """The lane: its numbers are consumed in order."""
        return self.lane


class Tallied(Event):
    """A stored number. Emitted by the probe."""

    topic: ClassVar = "probe.tallied.v1"
    lane: str
    number: int

    @property
    def key(self) -> str:
        """The lane."""
        return self.lane


class Echoed(Tallied):
    """The same as a reply: published right after the commit, without the outbox."""

    topic: ClassVar = "probe.echoed.v1"
    through_outbox: ClassVar = False


def numbered_on(topic: str) -> type[Numbered]:
    """Return an event class for a test's topic, registered."""

    class OnTopic(Numbered):
        ce_type: ClassVar = topic

    OnTopic.topic = topic
    BY_TYPE[topic] = OnTopic
    return OnTopic


@dataclass(frozen=True, slots=True)
class Line:
    """One number in the tally. It is not unique, so that duplicates are visible."""

    event_id: UUID
    lane: str
    number: int


class PostgresTally:
    """The tally in PostgreSQL."""

    def __init__(self, tx: PostgresTransaction) -> None:
        self._tx = tx

    async def add(self, lines: Sequence[Line]) -> None:
        rows = json_rows(
            [{"event_id": one.event_id, "lane": one.lane, "number": one.number} for one in lines]
        )
        await self._tx.run(
            """insert into tally (event_id, lane, number)
               select event_id, lane, number from json_to_recordset(%(rows)s::json)
               as line (event_id uuid, lane text, number int)""",
            rows=rows,
        )


class MemoryTally:
    """The twin."""

    def __init__(self, tx: MemoryTransaction) -> None:
        self._lines = tx.own["tally"]

    async def add(self, lines: Sequence[Line]) -> None:
        for line in lines:
            self._lines[len(self._lines)] = line


@dataclass
class Count:
    """The probe's handler. `faults` are raised at their number, each once."""

    faults: defaultdict[int, list[Exception]] = field(default_factory=lambda: defaultdict(list))
    always: dict[int, Exception] = field(default_factory=dict)
    tells: type[Tallied] = Tallied
    too_many: tuple[int, Exception] | None = None
    """A batch of more numbers fails with this error."""
    batches: list[list[int]] = field(default_factory=list)
    found: list[Any] = field(default_factory=list)
    before_commit: Callable[[Sequence[int]], Awaitable[None]] | None = None

    async def __call__(
        self, batch: Batch[Received[Numbered], Any], tally: PostgresTally | MemoryTally
    ) -> Events:
        """Store the numbers, or raise the planned fault."""
        numbers = [item.event.number for item in batch]
        self.batches.append(numbers)
        self.found.append(dict(batch.lookups))
        await tally.add([Line(i.cause.id, i.event.lane, i.event.number) for i in batch])
        if self.too_many is not None and len(numbers) > self.too_many[0]:
            raise self.too_many[1]
        for number in numbers:
            self._fail_at(number)
        if self.before_commit is not None:
            await self.before_commit(numbers)
        return [
            Emit(self.tells(lane=item.event.lane, number=item.event.number), item.cause)
            for item in batch
        ]

    def _fail_at(self, number: int) -> None:
        if number in self.always:
            raise self.always[number]
        if self.faults[number]:
            raise self.faults[number].pop(0)


class ProbeSettings(ServiceSettings):
    """Settings of the probe's process."""

    probe_name: str = "probe"
    """Name of the service and of its group."""
    probe_dies_at: int = -1
    probe_dies: str = ""
    probe_refuses: bool = False
    """Whether every number is rejected, as before a fix."""
    probe_inbox: bool = False
    """Whether the handler has an inbox. The tally is not idempotent."""


def build(settings: ProbeSettings, topic: str) -> Process:
    """Return the process of the probe."""
    service = Service(settings.probe_name, settings)
    Tallied.topic = f"{topic}.tallied"
    count = Count()
    due_to_die = asyncio.Event()

    async def die_or_note(numbers: Sequence[int]) -> None:
        if settings.probe_refuses:
            raise Rejected("number: refused as configured")
        if settings.probe_dies_at in numbers:
            due_to_die.set()
            if settings.probe_dies == DIES_BEFORE_COMMIT:
                os.kill(os.getpid(), signal.SIGKILL)

    def after_commit(_received: object) -> None:
        # This runs between the commit and the offset.
        if due_to_die.is_set() and settings.probe_dies == DIES_AFTER_COMMIT:
            os.kill(os.getpid(), signal.SIGKILL)

    count.before_commit = die_or_note
    handler = Handler(
        numbered_on(topic),
        count,
        PostgresTally,
        after_commit=[after_commit],
        inbox=settings.probe_inbox,
    )
    return service.process([handler], emits=[Tallied])


if __name__ == "__main__":
    probe_settings = load(ProbeSettings)
    run(build(probe_settings, sys.argv[1]), probe_settings)
