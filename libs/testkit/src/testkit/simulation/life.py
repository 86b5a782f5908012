"""A process' life from its start to its crash, and the labelled points at which it may end."""

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Protocol

import psycopg

from testkit.simulation.loop import VirtualLoop


@dataclass(frozen=True, slots=True)
class Place:
    """The n-th time (from 1) that a service's processes came to a labelled point."""

    service: str
    label: str
    n: int

    def __str__(self) -> str:
        return f"{self.service}:{self.label}:{self.n}"


@dataclass(frozen=True, slots=True)
class Crash:
    """The process ends here; nothing of it runs on. It is started again after so many seconds."""

    restart_s: float = 1.0


@dataclass(frozen=True, slots=True)
class Freeze:
    """The process stands still for so many seconds and then goes on, believing nothing happened."""

    seconds: float


Incident = Crash | Freeze


class Incidents(Protocol):
    """Says what happens to a process at a point."""

    def at(self, place: Place) -> Incident | None:
        """Return what happens here; None in most places."""
        ...


@dataclass
class Planned:
    """Crashes at given places, each once."""

    places: frozenset[Place] = frozenset()

    def at(self, place: Place) -> Incident | None:
        return Crash() if place in self.places else None


@dataclass
class Story:
    """What happened in one run, as a running hash, and what is to happen."""

    loop: VirtualLoop
    incidents: Incidents
    places: list[Place] = field(default_factory=list)
    met: set[str] = field(default_factory=set)
    """Kinds of incidents."""
    _times: Counter[tuple[str, str]] = field(default_factory=Counter)
    _hash: "blake2b" = field(default_factory=lambda: blake2b(digest_size=16))

    def note(self, text: str) -> None:
        """Add to the hash."""
        self._hash.update(f"{self.loop.time():.6f} {text}\n".encode())

    @property
    def digest(self) -> str:
        """The hash so far: equal runs have equal ones."""
        return self._hash.hexdigest()

    def reached(self, life: "Life", label: str) -> Incident | None:
        """Note that a process came to a point; return what happens to it there."""
        self._times[life.service, label] += 1
        place = Place(life.service, label, self._times[life.service, label])
        self.places.append(place)
        self.note(f"{life.member} {label}")
        incident = self.incidents.at(place)
        if incident is not None:
            self.met.add(type(incident).__name__)
            self.note(f"{life.member} {incident}")
        return incident


@dataclass
class Life:
    """One run of a process. Whatever it does outside itself goes through `point`.

    A dead one is simply never resumed: no `finally` of its runs, as with SIGKILL.
    """

    service: str
    instance: int
    story: Story
    on_death: Callable[["Life", Crash], None]
    on_still: list[Callable[[], None]] = field(default_factory=list)
    """Called when the process stops moving, for good or for a while: a server drops its session."""
    is_dead: bool = False
    _thawed: asyncio.Event | None = None

    @property
    def member(self) -> str:
        """The process' name, the same in its next life."""
        return f"{self.service}.{self.instance}"

    @property
    def is_still(self) -> bool:
        """Whether it does not move now."""
        return self.is_dead or self._thawed is not None

    async def point(self, label: str) -> None:
        """Pass a labelled point, unless the process ends or stands still there."""
        if not self.is_still:
            self._meet(self.story.reached(self, label))
        await asyncio.sleep(0)
        if self.is_still:
            await self._wait()

    def pass_by(self, label: str) -> bool:
        """Pass a point that is not awaited; return False where the process is over."""
        if not self.is_still:
            self._meet(self.story.reached(self, label))
        return not self.is_dead

    async def _wait(self) -> None:
        while not self.is_dead and self._thawed is not None:
            await self._thawed.wait()
        if self.is_dead:
            await self.story.loop.create_future()

    def _meet(self, incident: Incident | None) -> None:
        if isinstance(incident, Crash):
            self.die(incident)
        elif isinstance(incident, Freeze):
            self._thawed = asyncio.Event()
            self.story.loop.call_later(incident.seconds, self.thaw)
            self._be_still()

    def die(self, crash: Crash) -> None:
        """End here."""
        self.is_dead = True
        self._be_still()
        self.on_death(self, crash)

    def thaw(self) -> None:
        """Go on, as if nothing had happened."""
        if self._thawed is not None:
            thawed, self._thawed = self._thawed, None
            thawed.set()

    def _be_still(self) -> None:
        for note in self.on_still:
            note()


class SessionLostError(psycopg.OperationalError):
    """The server has ended the session of a process that stood still, as PostgreSQL does."""
