"""Workers on tables of due rows: claim, commit, act, write back under the lease's epoch."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from service_runtime import tracing
from service_runtime.backoff import delay_s
from service_runtime.clock import Clock
from service_runtime.consumer import Handle
from service_runtime.errors import Consequence, consequence_of
from service_runtime.gathering import Gather, Gathered, gather_for
from service_runtime.logs import Log
from service_runtime.messages import Batch, Due, Events
from service_runtime.ports import Database, WorkTable
from service_runtime.unit_of_work import UnitOfWork
from service_runtime.work_table import parked

POLL_S = 1.0
"""Delay of a due row if the worker is not woken."""

Begin = Callable[[Batch[Any, Any], Any], Awaitable[None]]
"""Records in the claim's transaction that calls to other systems begin."""

_log = Log("work")


@dataclass(frozen=True, slots=True)
class Work:
    """The work on the due rows of one table."""

    table: WorkTable
    handle: Handle
    """Takes the batch and the store; saves the rows with their next due time; returns events."""
    store: Callable[[Any], Any]
    begin: Begin | None = None
    """Writes that must be committed before calls to other systems. Later steps see the rows as they
    were before it."""
    gather: Gather | None = None
    """Calls other systems, between claim and write-back; its worst case must fit the lease."""
    may_start: Callable[[], bool] | None = None
    """Returns whether to claim a slice now; False while a dependency is known to be down."""
    slice_rows: int = 100
    lease_s: float = 10.0
    concurrency: int = 1
    """Slices in progress at once."""


@dataclass(frozen=True, slots=True)
class _LeaseStep:
    """The step of a handler on due rows, claimed by their epochs."""

    work: Work
    gathered: Gathered

    async def claim(self, tx: Any, items: Sequence[Due[Any]]) -> list[Due[Any]]:
        mine = await self.work.table.still_mine(tx, items)
        return [item for item in items if item.cause.id in mine]

    async def handle(self, tx: Any, batch: Batch[Any, Any]) -> Events:
        self.gathered.require(batch)
        return await self.work.handle(batch, self.work.store(tx))

    async def give_up(
        self, tx: Any, item: Due[Any], error: Exception, _attempts: int
    ) -> Sequence[Any]:
        tracing.mark_failed(item.cause.id, type(error).__qualname__, "parked")
        await self.work.table.park(tx, item, type(error).__qualname__)
        parked.add(1, {"table": self.work.table.name})
        return ()

    async def between(self) -> None:
        """Do nothing: after the lease another worker has the rows."""


class Worker:
    """Works on one table, in concurrent slots, until the stop."""

    def __init__(self, work: Work, database: Database, unit: UnitOfWork, clock: Clock) -> None:
        self._work = work
        self._database = database
        self._unit = unit
        self._clock = clock
        self._woken: asyncio.Queue[None] = asyncio.Queue(maxsize=1)
        """One wake-up for one slot: the others would find no rows."""
        self._slice_rows = work.slice_rows
        """Halved while slices outlive their leases, whose results are lost."""

    def wake(self, _because: Sequence[Any] = ()) -> None:
        """Look for due rows now: rows were just written."""
        with contextlib.suppress(asyncio.QueueFull):
            self._woken.put_nowait(None)

    async def run(self, stopping: asyncio.Event) -> None:
        """Work until the stop; finish the current slices."""
        async with asyncio.TaskGroup() as group:
            for _ in range(self._work.concurrency):
                group.create_task(self._run_slot(stopping))
            await stopping.wait()
            self.wake()

    async def _run_slot(self, stopping: asyncio.Event) -> None:
        attempt = 0
        while not stopping.is_set():
            try:
                took = await self.work_slice()
                attempt = 0
            except Exception as error:
                if consequence_of(error) is not Consequence.WAIT:
                    raise
                attempt += 1
                took = 0
                _log.warning("waiting", table=self._work.table.name, reason=str(error))
            if took < self._slice_rows:
                await self._rest(delay_s(attempt, self._clock) if attempt else POLL_S)
        self.wake()

    async def work_slice(self) -> int:
        """Claim and handle one slice; return its number of rows, 0 if none may start.

        Raises Unavailable where a dependency is down: the rows are due again after the lease.
        """
        work = self._work
        if work.may_start is not None and not work.may_start():
            return 0
        claimed_at = self._clock.now()
        async with self._database.transaction() as tx:
            limit = self._slice_rows
            due = await work.table.claim(tx, limit, work.lease_s)
            if due and work.begin is not None:
                await work.begin(Batch(due, self._clock.now()), work.store(tx))
        if len(due) == limit:
            # There may be more rows, for another slot.
            self.wake()
        if due and self._clock.now() - claimed_at >= timedelta(seconds=work.lease_s):
            # The process was suspended: another worker or a person may have handled the rows.
            _log.warning("lease_outlived", table=work.table.name, count=len(due))
        elif due:
            await self._do(due)
            self._size_slice(self._clock.now() - claimed_at)
        return len(due)

    def _size_slice(self, took: timedelta) -> None:
        if took >= timedelta(seconds=self._work.lease_s):
            self._slice_rows = max(1, self._slice_rows // 2)
        else:
            self._slice_rows = min(self._work.slice_rows, self._slice_rows * 2)

    async def _do(self, due: Sequence[Due[Any]]) -> None:
        now = self._clock.now()
        with tracing.processing(due, now.timestamp()) as traced:
            gathered = await gather_for(self._work.gather, Batch(traced, now))
            await self._unit.carry_out(_LeaseStep(self._work, gathered), traced, gathered.lookups)

    async def _rest(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._woken.get()
        except TimeoutError:
            return
