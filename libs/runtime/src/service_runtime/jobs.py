"""Jobs: actions at set times, run by one instance of the service, across restarts.

The last time that was run is a cursor in the database. Whichever instance holds its lease runs what
is due; an instance that dies in a run leaves the time to the next holder.
"""

from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol

from cronsim import CronSim, CronSimError

from service_runtime import metrics
from service_runtime.clock import Clock
from service_runtime.cursor import Cursor, Held
from service_runtime.logs import Log
from service_runtime.postgres import PostgresDatabase

STANDBY_S = 5.0
"""How often an instance looks whether the holder of a due job has ended."""
LATEST_LOOK_S = 60.0
"""A rewind by an operator is seen this much later at most."""
LONGEST_OUTAGE = timedelta(days=31)
"""Times that were missed longer ago are not caught up."""

_log = Log("jobs")
_runs = metrics.counter("job_runs", "Runs of jobs, by job and result.")


class Times(Protocol):
    """When a job runs."""

    def after(self, moment: datetime) -> datetime:
        """Return the first time behind a moment."""
        ...


@dataclass(frozen=True, slots=True)
class Every:
    """At an interval, counted from the last time."""

    seconds: float

    def after(self, moment: datetime) -> datetime:
        """Return the first time behind a moment."""
        return moment + timedelta(seconds=self.seconds)


@dataclass(frozen=True, slots=True)
class Cron:
    """At the times of a cron expression, in UTC: `17 3 * * *` is every day at 03:17."""

    expression: str

    def __post_init__(self) -> None:
        try:
            self.after(datetime(2000, 1, 1, tzinfo=UTC))
        except CronSimError as error:
            raise ValueError(f"{self.expression}: {error}") from None

    def after(self, moment: datetime) -> datetime:
        """Return the first time behind a moment."""
        found: datetime = next(CronSim(self.expression, moment.astimezone(UTC)))
        return found


@dataclass(frozen=True, slots=True)
class Run:
    """One run of a job."""

    at: datetime
    """The time for which it runs; a late run has the time that it was due at."""
    held: Held
    """`held.fence(tx)` refuses a transaction of a run that has lost its lease."""


@dataclass(frozen=True, slots=True)
class Job:
    """What is done at which times."""

    name: str
    times: Times
    action: Callable[[Run], Awaitable[None]]
    """Can be run twice for one time: after a crash, another instance runs it again."""
    catch_up: int = 1
    """How many of the times that an outage has passed over are run, the latest ones."""


class JobRunner:
    """Runs a job on the instance that holds its lease."""

    def __init__(self, job: Job, cursor: Cursor, database: PostgresDatabase, clock: Clock) -> None:
        self._job = job
        self._cursor = cursor
        self._database = database
        self._clock = clock
        # A counter that begins with its first fault would show no increase.
        _runs.add(0, {"name": job.name, "result": "failed"})

    async def step(self) -> float:
        """Run the job where it is due; return how many seconds to wait before the next look.

        A fault ends the run, is counted, and leaves the job to its next time.
        """
        held = await self._cursor.hold()
        if held is None:
            return STANDBY_S
        now = self._clock.now()
        if held.position is None:
            # The first start runs nothing: it must cost no more than any other.
            return await self._move(held, now, now)
        last = datetime.fromisoformat(held.position)
        due = self._due(last, now)
        if not due:
            await self._cursor.release(held)
            return self._wait_s(last, now)
        await self._cursor.while_held(held, self._run(Run(due[0], held)))
        return await self._move(held, due[0], self._clock.now())

    def _due(self, last: datetime, now: datetime) -> deque[datetime]:
        """Return the times that are due, the first one first."""
        found: deque[datetime] = deque(maxlen=self._job.catch_up)
        at = self._job.times.after(max(last, now - LONGEST_OUTAGE))
        while at <= now:
            found.append(at)
            at = self._job.times.after(at)
        return found

    async def _run(self, run: Run) -> None:
        result = "failed"
        try:
            await self._job.action(run)
            result = "done"
        except Exception as error:  # noqa: BLE001 - a fault ends one run, not the process
            _log.error("job_failed", reason=self._job.name, error_class=type(error).__qualname__)
        _runs.add(1, {"name": self._job.name, "result": result})

    async def _move(self, held: Held, at: datetime, now: datetime) -> float:
        async with self._database.transaction() as tx:
            await held.advance(tx, at.isoformat())
        await self._cursor.release(held)
        return self._wait_s(at, now)

    def _wait_s(self, last: datetime, now: datetime) -> float:
        until_next_s = (self._job.times.after(last) - now).total_seconds()
        return min(max(0.0, until_next_s), LATEST_LOOK_S)
