"""Cursors move under one lease, jobs run once for each time, and a fault ends one run alone."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from service_runtime import cursor as cursors
from service_runtime import jobs
from service_runtime.cursor import Cursor, LeaseLostError, LogPage, Watcher, rewind
from service_runtime.jobs import Cron, Every, Job, JobRunner
from service_runtime.postgres import PostgresDatabase
from testkit.events import NOON
from testkit.memory import SteadyClock

pytestmark = pytest.mark.stack
HOUR = timedelta(hours=1)


@pytest.fixture
async def other(probe_settings):
    """The pool of another instance."""
    async with PostgresDatabase(probe_settings, "probe.1") as database:
        yield database


@pytest.fixture
def position(rows):
    return lambda: rows("select position from cursor")[0]["position"]


async def move(database, held, to):
    async with database.transaction() as tx:
        await held.advance(tx, to)


async def test_one_instance_holds_a_cursor_until_its_lease_is_over_or_released(postgres, other):
    first = await Cursor(postgres, "log").hold()
    assert await Cursor(other, "log").hold() is None
    await Cursor(postgres, "log").release(first)
    second = await Cursor(other, "log", lease_s=0).hold()
    third = await Cursor(postgres, "log").hold()
    assert (first.epoch, second.epoch, third.epoch) == (1, 2, 3)


async def test_a_holder_that_has_lost_the_lease_moves_nothing(postgres, other, position):
    late = await Cursor(postgres, "log", lease_s=0).hold()
    new = await Cursor(other, "log").hold()
    await move(other, new, "2")
    with pytest.raises(LeaseLostError):
        await move(postgres, late, "1")
    assert position() == "2"


async def test_an_action_is_cancelled_once_its_lease_is_lost(postgres):
    cursor = Cursor(postgres, "log", lease_s=0.06)
    held = await cursor.hold()

    async def act():
        async with postgres.transaction() as tx:
            await rewind(tx, "log", "0")
        await asyncio.sleep(60)

    with pytest.raises(LeaseLostError):
        await asyncio.wait_for(cursor.while_held(held, act()), 5)


async def test_a_long_action_keeps_its_lease(postgres, other):
    cursor = Cursor(postgres, "log", lease_s=0.3)
    held = await cursor.hold()

    async def act():
        await asyncio.sleep(0.6)
        return await Cursor(other, "log").hold()

    assert await cursor.while_held(held, act()) is None


async def test_an_effect_and_its_position_are_one_commit(postgres, rows, position):
    async def read(_position):
        return LogPage("5", ["entry"])

    async def handle(entries, tx):
        await tx.run(
            "insert into tally (event_id, lane, number) values (gen_random_uuid(), 'a', %(n)s)",
            n=len(entries),
        )
        if faults:
            raise faults.pop(0)
        return ()

    async def commit(write):
        async with postgres.transaction() as tx:
            await write(tx)

    faults = [KeyError("x")]
    watcher = Watcher(Cursor(postgres, "log"), read, handle, commit)
    with pytest.raises(KeyError):
        await watcher.step()
    assert (rows("select * from tally"), position()) == ([], None)
    assert await watcher.step() == 0
    assert (len(rows("select * from tally")), position()) == (1, "5")
    # Nothing new: the same position again.
    assert await watcher.step() == watcher.poll_s


class Rig:
    """A job on a clock that a test moves."""

    def __init__(self, database, clock, **given):
        self.runs, self.faults, self.clock = [], [], clock
        job = Job("report", Every(3600), self.act, **given)
        self.runner = JobRunner(job, Cursor(database, "job:report"), database, clock)

    async def act(self, run):
        self.runs.append(run.at)
        if self.faults:
            raise self.faults.pop(0)

    async def pass_time(self, delta):
        self.clock.time += delta
        return await self.runner.step()


@pytest.fixture
def clock():
    return SteadyClock(NOON)


@pytest.fixture
async def job(postgres, clock):
    made = Rig(postgres, clock)
    await made.runner.step()
    return made


async def test_the_first_start_runs_nothing_and_the_next_time_comes_after_an_interval(job):
    assert job.runs == []
    await job.pass_time(HOUR / 2)
    assert job.runs == []
    await job.pass_time(HOUR / 2)
    assert job.runs == [NOON + HOUR]


async def test_a_time_is_run_by_one_instance_alone(job, other, clock):
    second = Rig(other, clock)
    await job.pass_time(HOUR)
    await second.runner.step()
    assert (len(job.runs), second.runs) == (1, [])
    await second.pass_time(HOUR)
    assert second.runs == [NOON + 2 * HOUR]


async def test_an_outage_is_caught_up_within_bounds(job, postgres, clock):
    await job.pass_time(10 * HOUR)
    await job.runner.step()
    assert job.runs == [NOON + 10 * HOUR]
    several = Rig(postgres, clock, catch_up=3)
    clock.time += 5 * HOUR
    for _ in range(4):
        await several.runner.step()
    assert several.runs == [NOON + n * HOUR for n in (13, 14, 15)]


async def test_a_fault_ends_one_run_and_the_next_time_is_run(job):
    job.faults = [KeyError("x")]
    await job.pass_time(HOUR)
    await job.runner.step()
    await job.pass_time(HOUR)
    assert job.runs == [NOON + HOUR, NOON + 2 * HOUR]


async def test_a_run_that_ends_with_its_process_is_run_again_by_another(job, other, clock):
    job.faults = [asyncio.CancelledError()]
    with pytest.raises(asyncio.CancelledError):
        await job.pass_time(HOUR)
    second = Rig(other, clock)
    assert await second.runner.step() == jobs.STANDBY_S
    async with other.transaction() as tx:
        await tx.run("update cursor set held_until = now() - interval '1 s'")
    await second.runner.step()
    assert second.runs == [NOON + HOUR]


async def test_a_rewound_job_runs_again_from_there_on(job, postgres):
    await job.pass_time(HOUR)
    async with postgres.transaction() as tx:
        assert await rewind(tx, "job:report", NOON.isoformat())
        assert not await rewind(tx, "unknown", "x")
        assert [row["name"] for row in await cursors.listed(tx)] == ["job:report"]
    await job.runner.step()
    assert job.runs == [NOON + HOUR] * 2


async def test_a_waiting_job_looks_again_at_its_next_time_or_within_a_minute(job):
    assert await job.pass_time(HOUR - timedelta(seconds=7)) == 7
    assert await job.pass_time(timedelta(seconds=7)) == jobs.LATEST_LOOK_S


def test_a_cron_expression_is_in_utc_and_a_bad_one_is_refused_at_wiring():
    moment = datetime.fromisoformat("2026-03-29T01:30:00+02:00")
    assert Cron("30 3 * * *").after(moment) == datetime(2026, 3, 29, 3, 30, tzinfo=UTC)
    with pytest.raises(ValueError, match="Bad"):
        Cron("61 * * * *")
