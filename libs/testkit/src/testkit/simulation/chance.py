"""A run's clock and its faults: all chance comes from the seed."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from random import Random
from uuid import UUID

from testkit.simulation.life import Crash, Freeze, Incident, Place
from testkit.simulation.loop import VirtualLoop

BEGINNING = datetime(2026, 3, 2, 12, tzinfo=UTC)


class SeededClock:
    """The loop's time, and chance from the seed."""

    def __init__(self, loop: VirtualLoop, chance: Random) -> None:
        self._loop = loop
        self._chance = chance

    def now(self) -> datetime:
        return BEGINNING + timedelta(seconds=self._loop.time())

    def new_id(self) -> UUID:
        return UUID(int=self._chance.getrandbits(128), version=4)

    def jitter(self) -> float:
        return self._chance.random()

    def text(self, alphabet: str, length: int) -> str:
        return "".join(self._chance.choices(alphabet, k=length))


@dataclass(frozen=True, slots=True)
class Rates:
    """How often each fault happens, as shares; all 0: a quiet day."""

    crash: float = 0.0
    """A point."""
    freeze: float = 0.0
    """A point."""
    database: float = 0.0
    """A transaction fails at its begin or at its commit, after which nobody knows."""
    duplicate: float = 0.0
    """A record is written twice."""
    late_ack: float = 0.0
    """The broker's acknowledgement comes after the outbox claim has run out."""
    late: float = 0.0
    """A record reaches a group seconds after the others."""
    outside: float = 0.0
    """A call outside gets no answer."""
    reassignment: float = 0.0
    """A poll finds the partitions newly assigned: what was not committed comes again."""


QUIET_DAY = Rates()


@dataclass
class Faults:
    """Draws faults. `heal` ends them all."""

    chance: Random
    rates: Rates = QUIET_DAY
    latency_s: float = 0.02
    """Bound of a hop's latency."""

    def heal(self) -> None:
        """No further faults."""
        self.rates = QUIET_DAY

    def has(self, share: float) -> bool:
        """Draw whether a fault of that share happens now."""
        return share > 0 and self.chance.random() < share

    def hop_s(self) -> float:
        """Draw a latency, in seconds."""
        return self.chance.random() * self.latency_s

    def at(self, _place: Place) -> Incident | None:
        if self.has(self.rates.crash):
            return Crash(self.chance.choice((0.5, 1.0, 5.0, 15.0)))
        if self.has(self.rates.freeze):
            return Freeze(self.chance.choice((2.0, 8.0, 12.0, 25.0)))
        return None


def scaled(rates: Rates, chance: Random) -> Rates:
    """Return a mix of the rates: each fault is away, rare or at its full rate."""
    return replace(
        rates,
        **{
            name: getattr(rates, name) * chance.choice((0.0, 0.3, 1.0))
            for name in Rates.__dataclass_fields__
        },
    )
