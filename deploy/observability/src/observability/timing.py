"""Windows of the rules: real ones, or shortened for tests with injected faults."""

import re
from dataclasses import dataclass

_UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_LENGTH = re.compile(r"(\d+)([smhd])")


@dataclass(frozen=True, slots=True)
class Timing:
    """The scale of the rules' times.

    `factor` multiplies every window and hold. No window becomes shorter than `shortest_s`, because
    a rate needs two samples.
    """

    factor: float = 1.0
    shortest_s: int = 0

    def __post_init__(self) -> None:
        if not 0 < self.factor <= 1:
            raise ValueError(f"factor must be above 0 and at most 1, not {self.factor}")

    def window(self, length: str) -> str:
        """Return a window of PromQL. Raises ValueError unless `length` is like `5m`."""
        return self._scaled(length, self.shortest_s)

    def hold(self, length: str) -> str:
        """Return the duration of a condition. Raises ValueError unless `length` is like `5m`."""
        return self._scaled(length, 0)

    def _scaled(self, length: str, shortest_s: int) -> str:
        seconds = seconds_of(length)
        if self.factor == 1:
            return length
        return f"{max(round(seconds * self.factor), shortest_s)}s"


def seconds_of(length: str) -> int:
    """Return the seconds of a PromQL duration, such as `90s` or `1d`."""
    found = _LENGTH.fullmatch(length)
    if found is None:
        raise ValueError(f"{length!r} is not a duration such as 5m")
    return int(found[1]) * _UNITS_S[found[2]]
