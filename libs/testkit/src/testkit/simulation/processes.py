"""Processes on one loop: built like real ones, killed and restarted."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any
from unittest.mock import patch

from service_runtime import metrics, relay, work
from service_runtime.consumer import Consumer, Handler
from service_runtime.messages import Batch, Events
from service_runtime.positions import Positions
from service_runtime.relay import Relay
from service_runtime.unit_of_work import UnitOfWork
from service_runtime.work import Work, Worker
from testkit.memory import MemoryTransaction
from testkit.simulation.broker import Broker, Group, SimulatedProducer, SimulatedSource
from testkit.simulation.chance import QUIET_DAY, Faults, Rates, SeededClock
from testkit.simulation.database import SimulatedDatabase, Storage
from testkit.simulation.life import Crash, Incidents, Life, Story
from testkit.simulation.loop import VirtualLoop

Loop = Callable[[asyncio.Event], Awaitable[None]]


class Parts:
    """The parts of `service_runtime.service.Service` on the simulated ports."""

    def __init__(self, simulation: "Simulation", life: Life) -> None:
        self.life = life
        self.simulation = simulation
        self.clock = simulation.clock
        self.faults = simulation.faults
        storage = simulation.storages[life.service]
        self.database = SimulatedDatabase(storage, life, self.clock, self.faults)
        self.producer = SimulatedProducer(simulation.broker, life)
        self.relay = Relay(self.database, self.producer)
        self.unit = UnitOfWork(self.database, self.relay, life.service, self.clock)

    def worker(self, work: Work) -> Worker:
        """Return a worker on one of the service's work tables."""
        return Worker(work, self.database, self.unit, self.clock)

    def loops(self, handlers: Sequence[Handler], workers: Sequence[Worker] = ()) -> list[Loop]:
        """Return the loops of the process."""
        group = self.simulation.broker.groups[self.life.service]
        positions = Positions(self.database, self.life.service)
        source = SimulatedSource(group, self.life, self.simulation.broker, positions)
        noted = [_noting(handler, self.clock) for handler in handlers]
        consumer = Consumer(self.life.service, source, self.unit, noted, self.clock)
        return [consumer.run, *(worker.run for worker in workers), self.relay.run]


HANDLED = "handled"
"""The table of handled records, by topic, partition and offset, with the time."""


def _noting(handler: Handler, clock: SeededClock) -> Handler:
    """Return a handler that also notes, in its transaction, which records it has handled."""

    async def handle(batch: Batch[Any, Any], at: tuple[MemoryTransaction, Any]) -> Events:
        tx, store = at
        events = await handler.handle(batch, store)
        for item in batch:
            tx.own[HANDLED].setdefault((*item.record.place, item.record.offset), clock.now())
        return events

    return replace(handler, handle=handle, store=lambda tx: (tx, handler.store(tx)))


@dataclass(frozen=True, slots=True)
class Program:
    """A service: its topics, and the function that builds its loops."""

    name: str
    topics: Sequence[str]
    build: Callable[[Parts], Sequence[Loop]]
    instances: int = 1


@dataclass
class Simulation:
    """One run: loop, clock, broker, storages and processes, from one seed."""

    seed: int
    incidents: Incidents | None = None
    rates: Rates = QUIET_DAY
    ended_loops: list[str] = field(default_factory=list)
    """Loops that ended unexpectedly."""

    def __post_init__(self) -> None:
        self.chance = Random(self.seed)  # noqa: S311 - reproducible, not secret
        self.loop = VirtualLoop(self.chance)
        self.clock = SeededClock(self.loop, self.chance)
        self.faults = Faults(self.chance, self.rates)
        self.story = Story(self.loop, self.incidents or self.faults)
        self.broker = Broker(self.loop, self.clock, self.faults)
        self.storages: dict[str, Storage] = {}
        self.lives: dict[str, Life] = {}
        self.parts: dict[str, Parts] = {}
        self.programs: dict[str, Program] = {}
        self._stops: dict[str, asyncio.Event] = {}

    def add(self, program: Program) -> Storage:
        """Create a service's storage and group; return the storage."""
        self.programs[program.name] = program
        self.storages[program.name] = Storage()
        Group(program.name, program.topics, self.broker)
        return self.storages[program.name]

    def start(self) -> None:
        """Start all processes."""
        for program in self.programs.values():
            for instance in range(program.instances):
                self._start(program, instance)

    def life(self, service: str, instance: int = 0) -> Life:
        """Return a new life of a process."""
        return Life(service, instance, self.story, self._died)

    def _start(self, program: Program, instance: int) -> None:
        life = self.life(program.name, instance)
        self.lives[life.member] = life
        self.parts[life.member] = Parts(self, life)
        stopping = self._stops[life.member] = asyncio.Event()
        for loop in program.build(self.parts[life.member]):
            self.loop.create_task(self._run(loop, life, stopping))

    async def _run(self, loop: Loop, life: Life, stopping: asyncio.Event) -> None:
        try:
            await loop(stopping)
        except Exception as error:  # noqa: BLE001 - reported as the end of the process
            self.ended_loops.append(f"{life.member}: {type(error).__qualname__}: {error}")
        else:
            if life.is_dead:
                return
            self.ended_loops.append(f"{life.member}: ended without an error")
        life.die(Crash())

    def _died(self, life: Life, crash: Crash) -> None:
        program = self.programs.get(life.service)
        if program is not None:
            # A loop that never reaches a port would run forever.
            self._stops[life.member].set()
            self.loop.call_later(crash.restart_s, self._start, program, life.instance)

    def replay(self, service: str) -> None:
        """Stop a service and make it read all its topics again, without offsets and inbox."""
        for life in [one for one in self.lives.values() if one.service == service]:
            if not life.is_dead:
                life.die(Crash())
        tables = self.storages[service].tables
        tables.consumed.clear()
        tables.inbox.clear()
        self.broker.groups[service].rewind()

    def heal(self) -> None:
        """End all faults: paused processes continue, the broker is up."""
        self.story.incidents = Quiet()
        self.faults.heal()
        self.broker.down_until_s = 0.0
        for life in self.lives.values():
            life.thaw()

    @property
    def is_quiet(self) -> bool:
        """Whether all records are consumed and published and all processes are up."""
        return (
            not any(life.is_still for life in self.lives.values())
            and all(parts.producer.is_empty for parts in self.parts.values())
            and not any(storage.tables.outbox for storage in self.storages.values())
            and not any(group.lag for group in self.broker.groups.values())
        )


class Quiet:
    """No further incidents."""

    def at(self, _place: object) -> None:
        """Return None."""


@contextmanager
def simulated_runtime() -> Iterator[None]:
    """Make the runtime's idle loops less frequent, and register no gauges.

    The result does not depend on their frequency, but idle iterations would be most of a run.
    """
    slower: list[tuple[Any, str, float]] = [
        (relay, "SWEEP_EVERY_S", 4.0),
        (relay, "DELETE_EVERY_S", 1.0),
        (work, "POLL_S", 2.0),
    ]
    disabled = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    patches: list[Any] = [patch.object(module, name, value) for module, name, value in slower]
    patches.append(patch.object(metrics, "gauge", lambda *_of: None))
    for one in patches:
        one.start()
    try:
        yield
    finally:
        for one in patches:
            one.stop()
        logging.disable(disabled)
