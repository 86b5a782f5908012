"""The life of a process, and the labelled points at which it can crash or pause."""

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
    """The n-th time (from 1) that a service's processes reached a labelled point."""

    service: str
    label: str
    n: int

    def __str__(self) -> str:
        return f"{self.service}:{self.label}:{self.n}"


@dataclass(frozen=True, slots=True)
class Crash:
    """The process ends here and executes nothing more. It restarts after some seconds."""

    restart_s: float = 1.0


@dataclass(frozen=True, slots=True)
class Freeze:
    """The process pauses for some seconds and then continues without noticing."""

    seconds: float


Incident = Crash | Freeze


class Incidents(Protocol):
    """Decides the incident at a point."""

    def at(self, place: Place) -> Incident | None:
        """Return the incident here, or None."""
        ...


@dataclass
class Planned:
    """Crashes at given places, each once."""

    places: frozenset[Place] = frozenset()

    def at(self, place: Place) -> Incident | None:
        return Crash() if place in self.places else None


@dataclass
class Story:
    """The events of one run, as a running hash, and its incidents."""

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
        """The hash so far; identical runs have equal hashes."""
        return self._hash.hexdigest()

    def reached(self, life: "Life", label: str) -> Incident | None:
        """Record that a process reached a point; return the incident there."""
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
    """One run of a process. All its external actions pass through `point`.

    A dead process is never resumed: not even its `finally` blocks run, as after SIGKILL.
    """

    service: str
    instance: int
    story: Story
    on_death: Callable[["Life", Crash], None]
    on_still: list[Callable[[], None]] = field(default_factory=list)
    """Called when the process crashes or pauses, so that a server drops its session."""
    is_dead: bool = False
    _thawed: asyncio.Event | None = None

    @property
    def member(self) -> str:
        """The name of the process, the same after a restart."""
        return f"{self.service}.{self.instance}"

    @property
    def is_still(self) -> bool:
        """Whether it is dead or paused."""
        return self.is_dead or self._thawed is not None

    async def point(self, label: str) -> None:
        """Pass a labelled point, unless the process crashes or pauses there."""
        if not self.is_still:
            self._meet(self.story.reached(self, label))
        await asyncio.sleep(0)
        if self.is_still:
            await self._wait()

    def pass_by(self, label: str) -> bool:
        """Pass a point without waiting; return False if the process is dead."""
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
        """End the process."""
        self.is_dead = True
        self._be_still()
        self.on_death(self, crash)

    def thaw(self) -> None:
        """Continue after a pause."""
        if self._thawed is not None:
            thawed, self._thawed = self._thawed, None
            thawed.set()

    def _be_still(self) -> None:
        for note in self.on_still:
            note()


class SessionLostError(psycopg.OperationalError):
    """The server has ended the session of a paused process, as PostgreSQL does."""
