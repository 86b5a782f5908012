"""States of containers: healthy, starting or failed, with the end of a failed one's log."""

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from local_stack.errors import StackError
from local_stack.waiting import wait_until

_LOOK_EVERY_S = 1.0
_STEADY_LOOKS = 5
_MOST_RESTARTS = 3
"""During the wait. Docker also counts restarts from before it."""


@dataclass(frozen=True, slots=True)
class Container:
    """A container, by its service's name; `health` is empty without a health check."""

    name: str
    status: str
    health: str
    exit_code: int
    restarts: int

    @property
    def is_well(self) -> bool:
        if self.status == "exited":
            return self.exit_code == 0
        return self.status == "running" and self.health in {"", "healthy"}

    @property
    def has_failed(self) -> bool:
        """Whether it will not become healthy without a change."""
        return not self.is_well and (self.status in {"exited", "dead"} or self.restarts > 0)

    @property
    def description(self) -> str:
        if self.status == "exited":
            return f"exited with status {self.exit_code}"
        again = f", restarted {self.restarts} times" if self.restarts else ""
        return (self.health or self.status) + again


def parse(text: str) -> list[Container]:
    """Read what `docker inspect` prints."""
    return [
        Container(
            name=one["Config"]["Labels"]["com.docker.compose.service"],
            status=one["State"]["Status"],
            health=one["State"].get("Health", {}).get("Status", ""),
            exit_code=one["State"]["ExitCode"],
            restarts=one["RestartCount"],
        )
        for one in json.loads(text)
    ]


def bytes_of(text: str) -> int:
    """Read `85.1MiB`, as `docker stats` prints memory; 0 where a container has stopped."""
    number = text.rstrip("BKMGi")
    return int(float(number) * 1024 ** "BKMG".index(text[len(number)])) if number else 0


def reports(containers: Iterable[Container], last_lines: Callable[[str], str]) -> list[str]:
    """Each unhealthy container with its state and the end of its log."""
    unwell = [one for one in containers if not one.is_well]
    failed = [one for one in unwell if one.has_failed]
    return [_report(one, last_lines) for one in failed or unwell]


def _report(one: Container, last_lines: Callable[[str], str]) -> str:
    return f"{one.name} ({one.description}); its log ends:\n{last_lines(one.name)}"


class Watch:
    """Waits until all containers are healthy and none restarts repeatedly."""

    def __init__(
        self, look: Callable[[], Sequence[Container]], last_lines: Callable[[str], str]
    ) -> None:
        self._look = look
        self._last_lines = last_lines
        self._first: dict[str, int] = {}
        self._last: Sequence[Container] = ()
        self._same_looks = 0

    def wait(self, seconds: float) -> None:
        """Wait. Raises StackError with the unhealthy containers and the end of their logs."""
        try:
            wait_until(self.is_over, seconds=seconds, otherwise="not well", pause_s=_LOOK_EVERY_S)
        except _RestartingError:
            raise
        except StackError as error:
            lines = reports(self._last, self._last_lines)
            raise StackError("\n".join([f"{error}:", *lines])) from None

    def is_over(self) -> bool:
        """Whether all are healthy now. Raises StackError where one restarts repeatedly."""
        before, self._last = self._last, self._look()
        for one in self._last:
            if one.restarts - self._first.setdefault(one.name, one.restarts) >= _MOST_RESTARTS:
                report = _report(one, self._last_lines)
                raise _RestartingError(f"restarts again and again: {report}")
        self._same_looks = self._same_looks + 1 if before == self._last else 0
        if not all(one.is_well for one in self._last):
            return False
        # A container without a health check may be up for a moment between two failures.
        doubtful = any(one.restarts and not one.health for one in self._last)
        return not doubtful or self._same_looks >= _STEADY_LOOKS


class _RestartingError(StackError):
    """A container restarts repeatedly; waiting does not help."""
