"""Waiting with a deadline; the only module of the stack that reads a clock."""

import time
from collections.abc import Callable

from local_stack.errors import StackError


class Deadline:
    """A moment some seconds from now."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._end_s = time.monotonic() + seconds

    @property
    def left_s(self) -> float:
        return max(0.0, self._end_s - time.monotonic())

    @property
    def passed(self) -> bool:
        return self.left_s == 0.0


def elapsed_since(start_s: float) -> float:
    """Seconds since `start_s`, a value of `now_s`."""
    return time.monotonic() - start_s


def now_s() -> float:
    """Seconds of a monotonic clock; only differences have a meaning."""
    return time.monotonic()


def wait_until(
    true: Callable[[], bool], *, seconds: float, otherwise: str, pause_s: float = 0.05
) -> None:
    """Return once `true()` holds. Raises StackError(otherwise) past the deadline."""
    deadline = Deadline(seconds)
    while not true():
        if deadline.passed:
            raise StackError(f"{otherwise} (waited {seconds:.0f} s)")
        time.sleep(pause_s)
