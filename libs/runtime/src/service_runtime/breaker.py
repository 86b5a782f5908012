"""A circuit breaker: refuses calls to a failing dependency, then admits one probe.

Pure: the time is an argument. The caller reports business refusals and cancellations as such; they
are not failures.
"""

from collections import deque
from enum import IntEnum

WINDOW_S = 10.0
LEAST_CALLS = 20
FAILED_SHARE = 0.5
IN_A_ROW = 5
OPEN_S = 30.0
SUCCESSES_TO_CLOSE = 2


class State(IntEnum):
    """The state, with its value in the metric."""

    CLOSED = 0
    HALF_OPEN = 1
    OPEN = 2


class Breaker:
    """The breaker of one dependency. Seconds are of the monotonic clock."""

    def __init__(self, open_s: float = OPEN_S) -> None:
        self.state = State.CLOSED
        self._open_s = open_s
        self._calls: deque[tuple[float, bool]] = deque()
        self._failed_calls = 0
        self._failures_in_a_row = 0
        self._successes = 0
        self._opened_s = 0.0
        self._in_flight = 0

    def admits(self, now_s: float) -> bool:
        """Return whether a call may be sent; `ended` must follow each call that may."""
        admitted = not self.is_open(now_s)
        if admitted and self.state is State.OPEN:
            self.state, self._successes = State.HALF_OPEN, 0
        self._in_flight += admitted
        return admitted

    def is_open(self, now_s: float) -> bool:
        """Return whether `admits` would refuse, without taking the probe slot."""
        if self.state is State.CLOSED:
            return False
        # A call that was sent before the breaker opened must not count as the probe.
        return self._in_flight > 0 or (
            self.state is State.OPEN and now_s - self._opened_s < self._open_s
        )

    def shown(self, now_s: float) -> State:
        """Return the state for the metric; half open once the open time is over."""
        over = self.state is State.OPEN and now_s - self._opened_s >= self._open_s
        return State.HALF_OPEN if over else self.state

    def ended(self, now_s: float, *, ok: bool | None) -> None:
        """Record the result of a call; None for a cancelled one."""
        self._in_flight -= 1
        if ok is None:
            return
        self._failures_in_a_row = 0 if ok else self._failures_in_a_row + 1
        if self.state is State.HALF_OPEN:
            self._judge_probe(now_s, ok=ok)
        elif self.state is State.CLOSED:
            self._calls.append((now_s, ok))
            self._failed_calls += not ok
            self._judge_window(now_s)

    def _judge_probe(self, now_s: float, *, ok: bool) -> None:
        self._successes += 1
        if not ok:
            self._open(now_s)
        elif self._successes >= SUCCESSES_TO_CLOSE:
            self.state = State.CLOSED

    def _judge_window(self, now_s: float) -> None:
        while self._calls and self._calls[0][0] < now_s - WINDOW_S:
            _, ok = self._calls.popleft()
            self._failed_calls -= not ok
        calls = len(self._calls)
        many = calls >= LEAST_CALLS and self._failed_calls >= FAILED_SHARE * calls
        if many or self._failures_in_a_row >= IN_A_ROW:
            self._open(now_s)

    def _open(self, now_s: float) -> None:
        self.state, self._opened_s = State.OPEN, now_s
        self._failures_in_a_row = 0
        self._calls.clear()
        self._failed_calls = 0
