"""Due rows are leased, guarded by their epochs and parked alone; one contract for both tables."""

import asyncio
import time
from uuid import UUID

import pytest

from service_runtime.clock import SystemClock
from service_runtime.errors import Invariant, Rejected, Unavailable
from service_runtime.messages import Cause, Due
from service_runtime.relay import Relay
from service_runtime.unit_of_work import UnitOfWork
from service_runtime.work import Work, Worker
from service_runtime.work_table import PostgresWorkTable
from testkit.memory import MemoryBroker, MemoryDatabase, MemoryWorkTable
from testkit.plans import rows_read
from testkit.tasks import MemoryTasks, PostgresTasks, Task

TASKS = [UUID(int=number) for number in range(1, 9)]


class Bench:
    """A table of tasks and a worker on it."""

    def __init__(self, database):
        self.is_memory = isinstance(database, MemoryDatabase)
        self.database = database
        self.clock = database._clock if self.is_memory else SystemClock()
        row = lambda found: Task(found["id"], found["note"])  # noqa: E731
        self.table = MemoryWorkTable("task") if self.is_memory else PostgresWorkTable("task", row)
        self.store = MemoryTasks if self.is_memory else PostgresTasks
        relay = Relay(database, MemoryBroker(SystemClock()))
        self.unit = UnitOfWork(database, relay, "probe", self.clock)
        self.faults = {}
        self.done = []

    async def handle(self, batch, tasks):
        for item in batch:
            if item.cause.id in self.faults:
                raise self.faults[item.cause.id]
        self.done += [item.cause.id for item in batch]
        await tasks.finish(batch, "done")
        return ()

    def worker(self, **fields):
        work = Work(self.table, self.handle, self.store, **fields)
        return Worker(work, self.database, self.unit, self.clock)

    async def claim(self, limit=10, lease_s=10.0):
        async with self.database.transaction() as tx:
            return await self.table.claim(tx, limit, lease_s)

    async def still_mine(self, due):
        async with self.database.transaction() as tx:
            return await self.table.still_mine(tx, due)

    async def add(self, *tasks, seconds=0):
        async with self.database.transaction() as tx:
            await self.store(tx).add(*tasks, seconds=seconds)

    async def notes(self):
        async with self.database.transaction() as tx:
            return await self.store(tx).notes()

    async def parked(self):
        async with self.database.transaction() as tx:
            return await self.store(tx).parked()

    async def pass_time(self, seconds):
        if self.is_memory:
            self.clock.pass_time(seconds=seconds)
        else:
            await asyncio.sleep(seconds)


@pytest.fixture
def bench(database):
    return Bench(database)


async def test_due_rows_are_leased_oldest_first_and_to_one_worker(bench):
    await bench.add(TASKS[0], seconds=-1)
    await bench.add(TASKS[1], seconds=-3)
    await bench.add(TASKS[2], seconds=60)

    first = await bench.claim()

    assert [item.row.id for item in first] == [TASKS[1], TASKS[0]]
    assert [(item.epoch, item.attempts, item.cause.discriminator) for item in first] == [
        (1, 1, "1")
    ] * 2
    assert await bench.claim() == []


async def test_a_claim_takes_no_more_than_a_slice(bench):
    await bench.add(*TASKS)

    assert [len(await bench.claim(3)) for _ in range(4)] == [3, 3, 2, 0]


async def test_an_expired_lease_is_taken_under_a_new_epoch(bench):
    await bench.add(TASKS[0])
    (before,) = await bench.claim(lease_s=0.05)
    await bench.pass_time(0.1)

    (after,) = await bench.claim()

    assert (after.epoch, after.attempts) == (2, 2)
    assert await bench.still_mine([before]) == set()
    assert await bench.still_mine([after]) == {TASKS[0]}


async def test_a_worker_that_has_lost_its_lease_writes_nothing(bench):
    await bench.add(TASKS[0])

    async def overtaken(batch):
        await bench.pass_time(0.1)
        assert [item.epoch for item in await bench.claim()] == [2]
        return {}

    await bench.worker(gather=overtaken, lease_s=0.05).work_slice()

    assert (await bench.notes(), bench.done) == ({TASKS[0]: ""}, [])


async def test_a_handled_row_is_not_due_again(bench):
    await bench.add(*TASKS[:2])

    assert await bench.worker().work_slice() == 2
    assert await bench.worker().work_slice() == 0
    assert await bench.notes() == dict.fromkeys(TASKS[:2], "done")


@pytest.mark.parametrize("fault", [Rejected("never"), Invariant("wrong"), KeyError("unknown")])
async def test_a_failing_row_is_parked_alone(bench, fault):
    await bench.add(*TASKS[:4])
    bench.faults[TASKS[2]] = fault

    await bench.worker().work_slice()

    assert await bench.parked() == {TASKS[2]: type(fault).__qualname__}
    assert sorted(bench.done) == [TASKS[0], TASKS[1], TASKS[3]]
    await bench.pass_time(0.01)
    assert await bench.claim() == []


async def test_a_row_whose_look_up_fails_is_parked_alone(bench):
    await bench.add(*TASKS[:3])

    async def stumble(batch):
        if any(item.cause.id == TASKS[1] for item in batch):
            raise KeyError("not foreseen")
        return {}

    await bench.worker(gather=stumble).work_slice()

    assert await bench.parked() == {TASKS[1]: "KeyError"}
    assert sorted(bench.done) == [TASKS[0], TASKS[2]]


async def test_an_outage_parks_nothing_and_the_row_is_due_again(bench):
    await bench.add(TASKS[0])
    bench.faults[TASKS[0]] = Unavailable("down")
    with pytest.raises(Unavailable):
        await bench.worker(lease_s=0.05).work_slice()
    del bench.faults[TASKS[0]]
    await bench.pass_time(0.1)

    await bench.worker().work_slice()

    assert (await bench.parked(), bench.done) == ({}, [TASKS[0]])


async def test_the_beginning_is_committed_before_any_call_outside(bench):
    await bench.add(TASKS[0])
    seen = []

    async def begin(batch, tasks):
        await tasks.finish(batch, "begun")

    async def look(_batch):
        seen.append(await bench.notes())
        return {}

    await bench.worker(begin=begin, gather=look).work_slice()

    assert seen == [{TASKS[0]: "begun"}]


async def test_nothing_is_claimed_while_a_dependency_is_down(bench):
    await bench.add(TASKS[0])

    assert await bench.worker(may_start=lambda: False).work_slice() == 0
    assert len(await bench.claim()) == 1


class InsertingLeased:
    """A step that inserts one task an item, leased to the worker while it has places."""

    def __init__(self, bench, worker):
        self._bench = bench
        self._worker = worker
        self.faults = 0

    async def claim(self, _tx, items):
        return items

    async def handle(self, tx, batch):
        places, store = self._worker.places(), self._bench.store(tx)
        for item in batch:
            taker = next(places, None)
            await (store.add_leased(taker, item.cause.id) if taker else store.add(item.cause.id))
        if self.faults:
            self.faults -= 1
            raise Unavailable("down")
        return ()


async def insert_leased(bench, worker, *tasks, faults=0):
    step = InsertingLeased(bench, worker)
    step.faults = faults
    await bench.unit.carry_out(step, [Due(None, Cause(task), 0, 0) for task in tasks], {})
    worker.wake()


async def test_a_row_that_is_inserted_as_leased_is_handled_once_without_a_claim(bench):
    worker = bench.worker(takes_over=True)
    await worker.work_slice()
    await insert_leased(bench, worker, *TASKS[:2])

    assert await bench.claim() == []
    assert await worker.work_slice() == 2
    assert bench.done == TASKS[:2]
    assert await worker.work_slice() == 0


async def test_a_row_whose_insert_is_rolled_back_is_not_handed_over(bench):
    worker = bench.worker(takes_over=True)
    with pytest.raises(Unavailable):
        await insert_leased(bench, worker, TASKS[0], faults=1)

    assert await worker.work_slice() == 0


async def test_rows_without_a_place_are_claimed(bench):
    worker = bench.worker(takes_over=True, slice_rows=2)
    await worker.work_slice()
    await insert_leased(bench, worker, *TASKS[:3])

    assert [await worker.work_slice() for _ in range(3)] == [1, 2, 0]
    assert sorted(bench.done) == TASKS[:3]


async def test_a_worker_whose_dependency_is_down_has_no_places(bench):
    assert list(bench.worker(takes_over=True, may_start=lambda: False).places()) == []
    assert list(bench.worker().places()) == []


async def test_a_row_whose_turn_comes_too_late_is_left_to_a_claim(memory):
    """A whole lease must be left: the worst case of the calls is measured by it."""
    bench = Bench(memory)
    worker = bench.worker(takes_over=True)
    await worker.work_slice()
    await insert_leased(bench, worker, TASKS[0])
    await bench.pass_time(2)

    assert await worker.work_slice() == 0
    worker._is_claiming = False
    await worker._work_handed_over()
    assert bench.done == []
    await bench.pass_time(11)
    assert [item.epoch for item in await bench.claim()] == [2]


async def test_rows_that_were_handed_over_are_handled_before_the_stop(bench):
    worker = bench.worker(takes_over=True)
    async with Running(worker):
        await insert_leased(bench, worker, *TASKS[:2])

    assert sorted(bench.done) == TASKS[:2]


class Running:
    """A worker's loop, for the length of a block."""

    def __init__(self, worker):
        self.worker = worker
        self._stopping = asyncio.Event()

    async def __aenter__(self):
        self._loop = asyncio.create_task(self.worker.run(self._stopping))
        await asyncio.sleep(0.05)
        return self

    async def __aexit__(self, *_error):
        self._stopping.set()
        async with asyncio.timeout(3):
            await self._loop


async def until(condition):
    async with asyncio.timeout(3):
        while not condition():  # noqa: ASYNC110 - what a table holds sets no event
            await asyncio.sleep(0.001)


@pytest.mark.parametrize("concurrency", [1, 3])
async def test_a_woken_worker_takes_new_rows_in_milliseconds(bench, concurrency):
    waits = []
    async with Running(bench.worker(concurrency=concurrency, slice_rows=2)) as running:
        for number in range(100, 110):
            task = UUID(int=number)
            await bench.add(task)
            begin = time.perf_counter()
            running.worker.wake()
            await until(lambda task=task: task in bench.done)
            waits.append(time.perf_counter() - begin)

    assert sorted(waits)[len(waits) // 2] < 0.1
    assert max(waits) < 0.9


async def test_no_wake_up_is_lost_between_slots(bench):
    async with Running(bench.worker(concurrency=4, slice_rows=1)) as running:
        for number in range(200, 260):
            await bench.add(UUID(int=number))
            running.worker.wake()
        begin = time.perf_counter()
        await until(lambda: len(set(bench.done)) == 60)

    assert time.perf_counter() - begin < 0.9
    assert len(bench.done) == 60


async def test_a_worker_outlives_an_outage(bench):
    bench.faults[TASKS[0]] = Unavailable("down")
    await bench.add(*TASKS[:2])
    async with Running(bench.worker(lease_s=0.5, slice_rows=1)) as running:
        await until(lambda: TASKS[1] in bench.done)
        del bench.faults[TASKS[0]]
        await bench.pass_time(0.6)
        running.worker.wake()
        await until(lambda: TASKS[0] in bench.done)


async def test_a_process_suspended_past_its_lease_calls_nothing(bench):
    """Another worker has the row by then; a bank without idempotency would book it twice."""
    await bench.add(TASKS[0])
    asked = []

    async def stand_still(_batch, _tasks):
        await bench.pass_time(1.1)

    async def gather(batch):
        asked.append(batch)
        return {}

    assert await bench.worker(begin=stand_still, gather=gather, lease_s=1.0).work_slice() == 1

    assert asked == []
    assert bench.done == []


@pytest.mark.stack
async def test_a_claim_reads_due_rows_alone(postgres, rows):
    rows("create index if not exists task_due on task (due_at) where due_at is not null")
    rows(
        """insert into task (id, due_at, attempts)
           select (lpad(to_hex(n), 32, '0'))::uuid,
                  now() + case when n <= 5 then -n else n end * interval '1 s', 5
           from generate_series(1, 100000) as n"""
    )
    rows("analyze task")
    parameters = {"owner": "probe", "lease_s": 10.0, "limit": 100}
    claim = PostgresWorkTable("task", dict)._claim
    async with postgres.transaction() as tx:
        assert 5 <= await rows_read(tx.connection, claim, parameters) <= 20


def mapped(found):
    """Map a row; raise for a note that means an unknown status, as an enumeration does."""
    if found["note"] == "unknown":
        raise ValueError("not a valid status")
    return Task(found["id"], found["note"])


@pytest.mark.stack
async def test_a_row_that_cannot_be_mapped_is_parked_alone_and_the_process_goes_on(postgres, rows):
    bench = Bench(postgres)
    bench.table = PostgresWorkTable("task", mapped)
    await bench.add(*TASKS[:3])
    rows("update task set note = 'unknown' where id = %s", TASKS[1])
    stopping = asyncio.Event()
    running = asyncio.create_task(bench.worker(slice_rows=3).run(stopping))
    async with asyncio.timeout(5):
        while len(bench.done) < 2:  # noqa: ASYNC110 - as above
            await asyncio.sleep(0.05)
    stopping.set()
    await running

    assert set(bench.done) == {TASKS[0], TASKS[2]}
    (parked,) = rows("select id, last_error from task where parked_at is not null")
    assert (parked["id"], parked["last_error"]) == (TASKS[1], "ValueError")


async def test_a_slice_that_outlives_its_lease_is_halved_until_it_fits(memory):
    bench = Bench(memory)
    took = []

    async def slow(batch, tasks):
        took.append(len(batch))
        bench.clock.pass_time(seconds=2 * len(batch))
        return await bench.handle(batch, tasks)

    await bench.add(*[UUID(int=number) for number in range(1, 21)])
    work = Work(bench.table, slow, bench.store, slice_rows=8)
    worker = Worker(work, bench.database, bench.unit, bench.clock)
    for _ in range(3):
        await worker.work_slice()

    assert took == [8, 4, 8]
