"""A run's clock and faults; all randomness comes from the seed."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from random import Random
from uuid import UUID

from testkit.simulation.life import Crash, Freeze, Incident, Place
from testkit.simulation.loop import VirtualLoop

BEGINNING = datetime(2026, 3, 2, 12, tzinfo=UTC)


class SeededClock:
    """The loop's time, and randomness from the seed."""

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
    """The probability of each fault; by default none."""

    crash: float = 0.0
    """A point."""
    freeze: float = 0.0
    """A point."""
    database: float = 0.0
    """A transaction fails at its begin or at its commit, with an unknown outcome."""
    duplicate: float = 0.0
    """A record is written twice."""
    late_ack: float = 0.0
    """The broker's acknowledgement comes after the outbox claim has ended."""
    late: float = 0.0
    """A record reaches a group seconds later."""
    outside: float = 0.0
    """An external call gets no response."""
    reassignment: float = 0.0
    """A poll finds reassigned partitions: uncommitted records are delivered again."""


QUIET_DAY = Rates()


@dataclass
class Faults:
    """Selects faults by the seed. `heal` ends them."""

    chance: Random
    rates: Rates = QUIET_DAY
    latency_s: float = 0.02
    """Maximum latency of a hop."""

    def heal(self) -> None:
        """End all faults."""
        self.rates = QUIET_DAY

    def has(self, share: float) -> bool:
        """Return whether a fault of this probability happens now."""
        return share > 0 and self.chance.random() < share

    def hop_s(self) -> float:
        """Return a random latency, in seconds."""
        return self.chance.random() * self.latency_s

    def at(self, _place: Place) -> Incident | None:
        if self.has(self.rates.crash):
            return Crash(self.chance.choice((0.5, 1.0, 5.0, 15.0)))
        if self.has(self.rates.freeze):
            return Freeze(self.chance.choice((2.0, 8.0, 12.0, 25.0)))
        return None


def scaled(rates: Rates, chance: Random) -> Rates:
    """Return a mix of the rates: each fault is off, rare or at its full rate."""
    return replace(
        rates,
        **{
            name: getattr(rates, name) * chance.choice((0.0, 0.3, 1.0))
            for name in Rates.__dataclass_fields__
        },
    )
