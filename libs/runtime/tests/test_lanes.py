"""Rows are done one by one: one that hangs holds up no other; one contract for both tables."""

import asyncio
from contextlib import asynccontextmanager
from uuid import UUID

import pytest

from service_runtime.clock import SystemClock
from service_runtime.errors import Unavailable
from service_runtime.lanes import Lanes, LaneWork
from service_runtime.relay import Relay
from service_runtime.unit_of_work import UnitOfWork
from service_runtime.work_table import PostgresWorkTable
from testkit.memory import MemoryBroker, MemoryDatabase, MemoryWorkTable
from testkit.tasks import MemoryTasks, PostgresTasks, Task

TASKS = [UUID(int=number) for number in range(1, 9)]
WITHIN_S = 5


class Bench:
    """A table of tasks, and lanes that do them as `act` says."""

    def __init__(self, database):
        is_memory = isinstance(database, MemoryDatabase)
        self.database = database
        self.clock = database._clock if is_memory else SystemClock()
        row = lambda found: Task(found["id"], found["note"])  # noqa: E731
        self.table = MemoryWorkTable("task") if is_memory else PostgresWorkTable("task", row)
        self.store = MemoryTasks if is_memory else PostgresTasks
        relay = Relay(database, MemoryBroker(SystemClock()))
        self.unit = UnitOfWork(database, relay, "probe", self.clock)
        self.released, self.may_save = asyncio.Event(), asyncio.Event()
        self.may_save.set()
        self.begun, self.saved, self.faults = [], [], []
        self.hanging, self.failing = set(), set()

    async def load(self, due, _store):
        return {item.cause.id: f"for {item.cause.id}" for item in due}

    async def act(self, due, loaded):
        assert loaded == f"for {due.cause.id}"
        self.begun.append(due.cause.id)
        if due.cause.id in self.hanging:
            await self.released.wait()
        if due.cause.id in self.failing:
            raise KeyError("not foreseen")
        return "done"

    async def handle(self, batch, tasks):
        await self.may_save.wait()
        if self.faults:
            raise self.faults.pop()
        assert [batch.lookups[item.cause.id] for item in batch] == ["done"] * len(batch)
        await tasks.finish(batch, "done")
        self.saved += [item.cause.id for item in batch]
        return ()

    async def add(self, *tasks):
        async with self.database.transaction() as tx:
            await self.store(tx).add(*tasks)

    async def parked(self):
        async with self.database.transaction() as tx:
            return await self.store(tx).parked()

    @asynccontextmanager
    async def running(self, **fields):
        work = LaneWork(self.table, self.handle, self.store, load=self.load, act=self.act, **fields)
        lanes, stopping = Lanes(work, self.database, self.unit, self.clock), asyncio.Event()
        running = asyncio.create_task(lanes.run(stopping))
        try:
            yield lanes
        finally:
            stopping.set()
            self.released.set()
            await asyncio.wait_for(running, WITHIN_S)

    async def until(self, condition):
        async with asyncio.timeout(WITHIN_S):
            while not condition():  # noqa: ASYNC110 - a condition has no event
                await asyncio.sleep(0.005)


@pytest.fixture
def bench(database):
    return Bench(database)


async def test_rows_that_hang_hold_up_none_of_the_others(bench):
    bench.hanging = set(TASKS[:2])
    await bench.add(*TASKS)
    async with bench.running(concurrency=4):
        await bench.until(lambda: len(bench.saved) == len(TASKS) - 2)
        assert set(bench.saved) == set(TASKS[2:])


async def test_no_more_rows_are_in_progress_than_may_be(bench):
    bench.hanging = set(TASKS)
    await bench.add(*TASKS)
    async with bench.running(concurrency=3) as lanes:
        await bench.until(lambda: lanes.busy == 3)
        lanes.wake()
        await asyncio.sleep(0.02)
        assert len(bench.begun) == 3


async def test_rows_that_wait_for_a_slow_write_back_are_bounded(bench):
    bench.may_save.clear()
    await bench.add(*TASKS)
    async with bench.running(concurrency=2):
        await bench.until(lambda: len(bench.begun) >= 2)
        await asyncio.sleep(0.1)
        # Two are being saved, and two wait.
        assert len(bench.begun) <= 4
        bench.may_save.set()
        await bench.until(lambda: len(bench.saved) == len(TASKS))


async def test_a_stop_waits_for_the_rows_in_progress_and_saves_them(bench):
    bench.hanging = {TASKS[0]}
    await bench.add(TASKS[0])
    async with bench.running(concurrency=3):
        await bench.until(lambda: bench.begun)
    assert bench.saved == [TASKS[0]]


async def test_a_row_whose_act_raises_is_parked_alone(bench):
    bench.failing = {TASKS[1]}
    await bench.add(*TASKS[:3])
    async with bench.running(concurrency=3):
        await bench.until(lambda: len(bench.saved) == 2)
        async with asyncio.timeout(WITHIN_S):
            while not await bench.parked():  # noqa: ASYNC110 - a table has no event
                await asyncio.sleep(0.005)
    assert await bench.parked() == {TASKS[1]: "KeyError"}


async def test_a_result_is_saved_again_while_the_database_is_away(bench):
    bench.faults = [Unavailable("down")]
    await bench.add(TASKS[0])
    async with bench.running(concurrency=3):
        await bench.until(lambda: bench.saved)
    assert bench.begun == [TASKS[0]]


async def test_woken_lanes_look_at_once(bench):
    async with bench.running(concurrency=3) as lanes:
        await asyncio.sleep(0.05)
        await bench.add(TASKS[0])
        lanes.wake()
        async with asyncio.timeout(0.5):
            await bench.until(lambda: bench.saved)


async def inserted(bench, lanes, task):
    """Insert a task as leased to a free lane; return whether there was one."""
    with lanes.place() as place:
        async with bench.database.transaction() as tx:
            if place is None:
                await bench.store(tx).add(task)
            else:
                place.loaded = f"for {task}"
                await bench.store(tx).add_leased(place, task)
        for taker, due in tx.handed_over:
            taker.take(due, bench.clock.now())
        return place is not None


async def test_a_row_that_is_inserted_as_leased_is_done_without_a_claim(bench):
    async with bench.running(concurrency=2) as lanes:
        await bench.until(lambda: lanes._rows)
        assert await inserted(bench, lanes, TASKS[0])
        # Its lease is longer than this: no claim has found it.
        await bench.until(lambda: bench.saved == [TASKS[0]])


async def test_where_no_lane_is_free_none_is_reserved_and_the_row_is_claimed_later(bench):
    bench.hanging = {TASKS[0]}
    async with bench.running(concurrency=1) as lanes:
        await bench.until(lambda: lanes._rows)
        assert await inserted(bench, lanes, TASKS[0])
        await bench.until(lambda: lanes.busy == 1)
        assert not await inserted(bench, lanes, TASKS[1])
        bench.released.set()
        await bench.until(lambda: len(bench.saved) == 2)


async def test_a_reserved_lane_whose_transaction_is_rolled_back_is_free_again(bench):
    async with bench.running(concurrency=1) as lanes:
        await bench.until(lambda: lanes._rows)
        with lanes.place() as place, lanes.place() as none:
            assert place is not None
            assert none is None
        assert await inserted(bench, lanes, TASKS[0])
        await bench.until(lambda: bench.saved == [TASKS[0]])
