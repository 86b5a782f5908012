"""A worker on a table of due rows that does each row by itself: no row waits for another one.

The claims and the write-backs are shared: one transaction for all rows that are free, or done, at
that moment. The query of the table's `due` bounds how many rows of one lane are in progress.
A row can also be inserted as leased to a free lane (`place`); its work begins after the commit.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from service_runtime import tracing
from service_runtime.backoff import delay_s
from service_runtime.clock import Clock
from service_runtime.errors import Consequence, Unavailable, consequence_of
from service_runtime.gathering import Gathered
from service_runtime.logs import Log
from service_runtime.messages import Due
from service_runtime.ports import Database
from service_runtime.unit_of_work import UnitOfWork
from service_runtime.work import POLL_S, LeaseStep, Work

SAVE_TRIES = 3
"""Then the rows are left to their leases, and done again."""

BEGUN_WITHIN_S = 2.0
"""From the insert of a leased row until its work begins; a later one is left to its lease."""

_log = Log("lanes")


def nothing() -> None:
    """Do nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LaneWork(Work):
    """Work whose rows are done one by one; `concurrency` bounds the rows in progress."""

    load: Callable[[Sequence[Due[Any]], Any], Awaitable[Mapping[UUID, Any]]]
    """Reads in the claim's transaction what the rows need, by the id of their causes."""
    act: Callable[[Due[Any], Any], Awaitable[Any]]
    """Does one row, outside of any transaction, within the lease; `handle` finds the result in the
    batch's look-ups. A row whose `act` raises is parked."""
    on_saved: Callable[[], None] = nothing
    """Runs after each write-back: rows may have moved to the lanes of another worker."""


@dataclass(frozen=True, slots=True)
class _Done:
    due: Due[Any]
    result: Any = None
    error: Exception | None = None


class Place:
    """A lane for one row that is inserted as leased: the taker of `hand_over`."""

    def __init__(self, lease_s: float, begin: Callable[[Due[Any], Any, datetime], None]) -> None:
        self.lease_s = lease_s
        """The lease of the row that is inserted, from now."""
        self.loaded: Any = None
        """What `load` would return for the row; set before the commit."""
        self.is_taken = False
        self._begin = begin

    def take(self, due: Due[Any], since: datetime) -> None:
        """Begin the row; it was inserted after `since`."""
        self.is_taken = True
        self._begin(due, self.loaded, since)


class Lanes:
    """Works on one table until the stop."""

    def __init__(self, work: LaneWork, database: Database, unit: UnitOfWork, clock: Clock) -> None:
        self._work = work
        self._database = database
        self._unit = unit
        self._clock = clock
        self._woken = asyncio.Event()
        self._done: asyncio.Queue[_Done | None] = asyncio.Queue()
        """Of rows that wait for their write-back: with those in progress `concurrency` at most."""
        self._busy = 0
        self._reserved = 0
        """Lanes of rows that are being inserted."""
        self._rows: asyncio.TaskGroup | None = None
        """Of the rows in progress; None before the start and from the stop."""
        self._may_be_more = True
        """Whether the last claim took as many rows as it could."""

    @property
    def busy(self) -> int:
        """The rows in progress."""
        return self._busy

    def wake(self, _because: Sequence[Any] = ()) -> None:
        """Look for due rows now."""
        self._woken.set()

    @contextlib.contextmanager
    def place(self) -> Iterator[Place | None]:
        """Reserve a lane for a row that is inserted as leased; None where none is free."""
        if self._rows is None or self._free() <= 0:
            yield None
            return
        place = Place(self._work.lease_s + BEGUN_WITHIN_S, self._begin)
        self._reserved += 1
        try:
            yield place
        finally:
            self._reserved -= not place.is_taken

    def _begin(self, due: Due[Any], loaded: Any, since: datetime) -> None:
        self._reserved -= 1
        is_late = self._clock.now() - since >= timedelta(seconds=BEGUN_WITHIN_S)
        if self._rows is None or is_late:
            _log.warning("turn_missed", table=self._work.table.name)
            return
        self._busy += 1
        self._rows.create_task(self._do(due, loaded))

    def _free(self) -> int:
        return self._work.concurrency - self._busy - self._reserved - self._done.qsize()

    async def run(self, stopping: asyncio.Event) -> None:
        """Work until the stop; the rows in progress are finished and saved."""
        async with asyncio.TaskGroup() as group:
            saving = group.create_task(self._save_until_over())
            waking = group.create_task(self._wake_at(stopping))
            async with asyncio.TaskGroup() as rows:
                self._rows = rows
                await self._claim_until(stopping, rows)
                self._rows = None
            self._done.put_nowait(None)
            await saving
            waking.cancel()

    async def _wake_at(self, stopping: asyncio.Event) -> None:
        await stopping.wait()
        self.wake()

    async def _claim_until(self, stopping: asyncio.Event, rows: asyncio.TaskGroup) -> None:
        attempt = 0
        while not stopping.is_set():
            self._woken.clear()
            limit = max(0, min(self._free(), self._work.slice_rows))
            took = 0
            try:
                took = await self._claim(limit, rows) if limit else 0
                self._may_be_more = took >= limit
                attempt = 0
            except Exception as error:
                if consequence_of(error) is not Consequence.WAIT:
                    raise
                attempt += 1
                _log.warning("waiting", table=self._work.table.name, reason=str(error))
            if attempt or not took or took < limit:
                await self._rest(delay_s(attempt, self._clock) if attempt else POLL_S)

    async def _claim(self, limit: int, rows: asyncio.TaskGroup) -> int:
        work = self._work
        async with self._database.transaction() as tx:
            due = await work.table.claim(tx, limit, work.lease_s)
            loaded = await work.load(due, work.store(tx)) if due else {}
        for item in due:
            self._busy += 1
            rows.create_task(self._do(item, loaded.get(item.cause.id)))
        return len(due)

    async def _do(self, due: Due[Any], loaded: Any) -> None:
        try:
            done = _Done(due, await self._work.act(due, loaded))
        except Exception as error:  # noqa: BLE001 - the unit of work parks the row
            done = _Done(due, error=error)
        self._busy -= 1
        self._done.put_nowait(done)
        if self._may_be_more:
            self.wake()

    async def _save_until_over(self) -> None:
        """Save what is done, together with all that is done meanwhile."""
        while (first := await self._done.get()) is not None:
            batch, is_over = [first], False
            while len(batch) < self._work.slice_rows and not self._done.empty():
                if (one := self._done.get_nowait()) is None:
                    is_over = True
                    break
                batch.append(one)
            await self._save(batch)
            # Their lanes are free again.
            self.wake()
            self._work.on_saved()
            if is_over:
                return

    async def _save(self, batch: Sequence[_Done]) -> None:
        for attempt in range(1, SAVE_TRIES + 1):
            with contextlib.suppress(Unavailable):
                await self._save_once(batch)
                return
            await asyncio.sleep(delay_s(attempt, self._clock))
        _log.warning("not_saved", table=self._work.table.name, count=len(batch))

    async def _save_once(self, batch: Sequence[_Done]) -> None:
        gathered = Gathered(
            {one.due.cause.id: one.result for one in batch if one.error is None},
            {one.due.cause.id: one.error for one in batch if one.error is not None},
        )
        due, now = [one.due for one in batch], self._clock.now()
        with tracing.processing(due, now.timestamp()) as traced:
            await self._unit.carry_out(LeaseStep(self._work, gathered), traced, gathered.lookups)

    async def _rest(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._woken.wait()
