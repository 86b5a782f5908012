"""The clients' operations with their outcomes: ok, fail or unknown, as in Jepsen."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

SUCCESS = 200
ACCEPTED = 202
CODE_REQUIRED = 403
NO_RESPONSE = 0
_REFUSALS = range(400, 500)
_BUSY = 503


class Outcome(StrEnum):
    """The known outcome of a request."""

    OK = "ok"
    """It has happened."""
    FAIL = "fail"
    """It has not happened."""
    UNKNOWN = "unknown"
    """It may have happened, or may yet."""


@dataclass(frozen=True, slots=True)
class Operation:
    """One request. Times are seconds of the generator's clock."""

    transaction_id: str
    intended_s: float
    """Planned time of sending; latency counts from it."""
    ended_s: float
    outcome: Outcome
    status: int
    """HTTP status; NO_RESPONSE without one."""
    body: bytes = b""
    step: str = "order"
    """`order`, or `code` for the second call of a payment with a code."""

    @property
    def latency_ms(self) -> float:
        return (self.ended_s - self.intended_s) * 1000

    @property
    def acknowledged(self) -> bool:
        """Whether the response was SUCCESS or 202."""
        return self.status in (SUCCESS, ACCEPTED)

    @property
    def refused(self) -> bool:
        """Whether the gateway refused because too many requests wait."""
        return self.status == _BUSY


def outcome_of(status: int, expected: int) -> Outcome:
    """Return the outcome of a response; 202 leaves it open."""
    if status == expected:
        return Outcome.OK
    if status in _REFUSALS or status == _BUSY:
        return Outcome.FAIL
    return Outcome.UNKNOWN


@dataclass(frozen=True, slots=True)
class Latencies:
    """Percentiles of latencies in milliseconds; zeros without operations."""

    count: int = 0
    p50: float = 0.0
    p95: float = 0.0
    p99: float = 0.0
    p999: float = 0.0


def latencies_of(values_ms: Iterable[float]) -> Latencies:
    """Return the percentiles by the nearest rank."""
    ordered = sorted(values_ms)
    if not ordered:
        return Latencies()
    return Latencies(len(ordered), *(_rank(ordered, share) for share in (500, 950, 990, 999)))


def _rank(ordered: Sequence[float], per_mille: int) -> float:
    """Return the value at rank ceil(n * share); integers avoid the rounding of 0.999."""
    return ordered[-(-len(ordered) * per_mille // 1000) - 1]
