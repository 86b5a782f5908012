"""What clients did, as they saw it: each operation ok, fail or unknown, as in Jepsen."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

SUCCESS = 200
ACCEPTED = 202
CODE_ASKED_FOR = 403
UNANSWERED = 0
_REFUSALS = range(400, 500)
_BUSY = 503


class Outcome(StrEnum):
    """What a client may believe about its request."""

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
    """When it should have been sent: what its latency is counted from."""
    ended_s: float
    outcome: Outcome
    status: int
    """HTTP status; UNANSWERED where none came."""
    body: bytes = b""
    step: str = "order"
    """`order`, or `code` for the second call of a payment with a code."""

    @property
    def latency_ms(self) -> float:
        return (self.ended_s - self.intended_s) * 1000

    @property
    def acknowledged(self) -> bool:
        """The client was told that the payment is made or goes on."""
        return self.status in (SUCCESS, ACCEPTED)

    @property
    def refused(self) -> bool:
        """Nothing was looked at, because too many wait."""
        return self.status == _BUSY


def outcome_of(status: int, expected: int) -> Outcome:
    """Say what an answer lets its client believe; 202 leaves the result open."""
    if status == expected:
        return Outcome.OK
    if status in _REFUSALS or status == _BUSY:
        return Outcome.FAIL
    return Outcome.UNKNOWN


@dataclass(frozen=True, slots=True)
class Latencies:
    """How long operations took, in milliseconds; zeros where there were none."""

    count: int = 0
    p50: float = 0.0
    p95: float = 0.0
    p99: float = 0.0
    p999: float = 0.0


def latencies_of(values_ms: Iterable[float]) -> Latencies:
    """Sum up: each percentile is the smallest value that so many do not exceed (nearest rank)."""
    ordered = sorted(values_ms)
    if not ordered:
        return Latencies()
    return Latencies(len(ordered), *(_rank(ordered, share) for share in (500, 950, 990, 999)))


def _rank(ordered: Sequence[float], per_mille: int) -> float:
    """Return the value at ceil(n * share), counted from one, in whole numbers: 0.999 is none."""
    return ordered[-(-len(ordered) * per_mille // 1000) - 1]
