"""Workers on tables of due rows: claim, commit, act, write back under the lease's epoch.

A row can also be inserted as leased and handed over after the commit, without a claim.
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from service_runtime import tracing
from service_runtime.backoff import delay_s
from service_runtime.clock import Clock
from service_runtime.consumer import Handle
from service_runtime.errors import Consequence, Unavailable, consequence_of
from service_runtime.gathering import Gather, Gathered, gather_for
from service_runtime.logs import Log
from service_runtime.messages import Batch, Due, Events
from service_runtime.ports import Database, WorkTable
from service_runtime.unit_of_work import UnitOfWork
from service_runtime.work_table import INSERTED_LEASE_S, parked

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
    checks_epochs: bool = False
    """Whether the handler's writes check the epochs; otherwise the rows are locked before it."""
    takes_over: bool = False
    """Whether the process may insert rows as leased to this worker (decision 0024)."""


@dataclass(frozen=True, slots=True)
class LeaseStep:
    """The step of a handler on due rows, claimed by their epochs."""

    work: Work
    gathered: Gathered

    async def claim(self, tx: Any, items: Sequence[Due[Any]]) -> list[Due[Any]]:
        if self.work.checks_epochs:
            return list(items)
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
        self._handed_over: deque[tuple[datetime, Due[Any]]] = deque()
        """Rows that were handed over, with a time before their insert; `places` bounds them."""
        self._has_refused = False
        """Whether a row was inserted without a place."""
        self._is_claiming = True
        """Whether to claim before the next rows that were handed over."""
        self._claimed_at = clock.now()

    def wake(self, _because: Sequence[Any] = ()) -> None:
        """Look for due rows now: rows were just written, and not all were handed over."""
        if self._has_refused or not self._work.takes_over:
            self._has_refused = False
            self._look()

    def places(self) -> Iterator["Worker"]:
        """Yield this worker for each row that may now be inserted as leased to it."""
        yield from [self] * self._free_places()
        self._has_refused = True

    def _free_places(self) -> int:
        work = self._work
        is_taking = work.takes_over and self._may_start()
        return (
            max(0, work.slice_rows * work.concurrency - len(self._handed_over)) if is_taking else 0
        )

    def take(self, due: Due[Any], since: datetime) -> None:
        """Take a row over that was inserted after `since` as leased; see `places`."""
        self._handed_over.append((since, due))
        self._call_slot()

    def _look(self) -> None:
        self._is_claiming = True
        self._call_slot()

    def _call_slot(self) -> None:
        with contextlib.suppress(asyncio.QueueFull):
            self._woken.put_nowait(None)

    def _may_start(self) -> bool:
        return self._work.may_start is None or self._work.may_start()

    async def run(self, stopping: asyncio.Event) -> None:
        """Work until the stop; finish the current slices and the rows that were handed over."""
        async with asyncio.TaskGroup() as group:
            for _ in range(self._work.concurrency):
                group.create_task(self._run_slot(stopping))
            await stopping.wait()
            self._call_slot()
        with contextlib.suppress(Unavailable):
            while self._handed_over:
                await self._work_handed_over()

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
            if attempt or (took < self._slice_rows and not self._is_turn_of_handed_over()):
                await self._rest(delay_s(attempt, self._clock) if attempt else POLL_S)
        self._call_slot()

    async def work_slice(self) -> int:
        """Handle one slice, handed over or claimed; return its number of rows, 0 if none may start.

        Raises Unavailable where a dependency is down: the rows are due again after the lease.
        """
        if not self._may_start():
            return 0
        if self._is_turn_of_handed_over():
            return await self._work_handed_over()
        return await self._work_claimed()

    def _is_turn_of_handed_over(self) -> bool:
        """Say whether handed over rows are next; a claim is due now and then whatever comes."""
        is_claim_due = self._clock.now() - self._claimed_at >= timedelta(seconds=POLL_S)
        return bool(self._handed_over) and not self._is_claiming and not is_claim_due

    async def _work_handed_over(self) -> int:
        slice_rows = min(self._slice_rows, len(self._handed_over))
        taken = [self._handed_over.popleft() for _ in range(slice_rows)]
        if self._handed_over:
            self._call_slot()
        due = [one for since, one in taken if not self._is_late(since)]
        if len(due) < len(taken):
            _log.warning("turn_missed", table=self._work.table.name, count=len(taken) - len(due))
        if due:
            await self._do(due)
        return len(taken)

    def _is_late(self, since: datetime) -> bool:
        """Say whether less than the lease of a claim is left to a row inserted after `since`."""
        waited = self._clock.now() - since
        return waited >= timedelta(seconds=INSERTED_LEASE_S - self._work.lease_s)

    async def _work_claimed(self) -> int:
        work, claimed_at = self._work, self._clock.now()
        self._is_claiming, self._claimed_at = False, claimed_at
        async with self._database.transaction() as tx:
            limit = self._slice_rows
            due = await work.table.claim(tx, limit, work.lease_s)
            if due and work.begin is not None:
                await work.begin(Batch(due, self._clock.now()), work.store(tx))
        if len(due) == limit:
            # There may be more rows, for another slot.
            self._look()
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
            await self._unit.carry_out(LeaseStep(self._work, gathered), traced, gathered.lookups)

    async def _rest(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._woken.get()
        except TimeoutError:
            return
