"""The measured scenarios."""

from dataclasses import dataclass, replace
from typing import Literal

Flow = Literal["pay", "pay_with_code", "pay_or_repeat"]
"""A method of Payer."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """One run: a number of requests in flight, or a fixed rate."""

    name: str
    in_flight: int = 0
    rate: float = 0.0
    flow: Flow = "pay"
    warm_s: float = 3.0
    """Warm-up: checked by the gate, but not measured."""
    seconds: float = 10.0
    seed: int = 1
    payees: tuple[str, ...] = ("payee-shop", "north-shop", "south-shop")
    """In turn; by default one at each partner bank, the last one on Kafka."""

    new_names: float | None = None
    """Share of payments whose payee has a name that was not screened yet; None: no names."""

    @property
    def run(self) -> str:
        """The prefix of its transaction ids."""
        return self.name.removesuffix(" %").replace(" ", "-")


def closed(in_flight: int, **more: float) -> Scenario:
    """Return a closed loop."""
    return replace(Scenario(f"closed {in_flight}", in_flight=in_flight), **more)  # type: ignore[arg-type]


def opened(rate: int, **more: float) -> Scenario:
    """Return an open loop."""
    return replace(Scenario(f"open {rate}", rate=rate), **more)  # type: ignore[arg-type]


WARM_UP = Scenario("warm-up", in_flight=64, warm_s=0.0, seconds=10.0)
"""Before the first measurement: a new broker and new processes cost twice the CPU for some time."""
CLOSED = tuple(closed(in_flight) for in_flight in (1, 16, 64, 256))
OPEN = tuple(opened(rate) for rate in (100, 500, 1000, 1500, 2000))
CODE = Scenario("code 200", rate=200, flow="pay_with_code")
REPEATS = Scenario("repeats 500", rate=500, flow="pay_or_repeat")
TRANSPORTS = (
    Scenario("kafka 64", in_flight=64, warm_s=2.0, seconds=6.0, payees=("south-shop",)),
    Scenario("http 64", in_flight=64, warm_s=2.0, seconds=6.0, payees=("payee-shop", "north-shop")),
)
"""Payments to the bank on Kafka alone, and to those over HTTP."""
SMOKE = (
    Scenario("smoke closed", in_flight=16, warm_s=0.5, seconds=3),
    Scenario("smoke open", rate=100, flow="pay_or_repeat", warm_s=0.5, seconds=4),
    Scenario("smoke code", rate=10, flow="pay_with_code", warm_s=0.5, seconds=3),
)
