"""Windows of the rules: as long as they are, or shortened alike for a staged fault."""

import re
from dataclasses import dataclass

_UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_LENGTH = re.compile(r"(\d+)([smhd])")


@dataclass(frozen=True, slots=True)
class Timing:
    """How real time becomes the time of the rules.

    `factor` multiplies every window and every hold; none becomes shorter than `shortest_s`, which
    a rate needs to see two samples.
    """

    factor: float = 1.0
    shortest_s: int = 0

    def __post_init__(self) -> None:
        if not 0 < self.factor <= 1:
            raise ValueError(f"factor must be above 0 and at most 1, not {self.factor}")

    def window(self, length: str) -> str:
        """A window of PromQL. Raises ValueError where `length` is not like `5m`."""
        return self._scaled(length, self.shortest_s)

    def hold(self, length: str) -> str:
        """How long a condition must hold. Raises ValueError where `length` is not like `5m`."""
        return self._scaled(length, 0)

    def _scaled(self, length: str, shortest_s: int) -> str:
        seconds = seconds_of(length)
        if self.factor == 1:
            return length
        return f"{max(round(seconds * self.factor), shortest_s)}s"


def seconds_of(length: str) -> int:
    """Seconds of a length as PromQL writes it, such as `90s` or `1d`."""
    found = _LENGTH.fullmatch(length)
    if found is None:
        raise ValueError(f"{length!r} is not a length such as 5m")
    return int(found[1]) * _UNITS_S[found[2]]
