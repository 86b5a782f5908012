"""The bounded executor in threads and in processes; versioned artefacts."""

import asyncio
import hashlib
import json
import os
import threading
import time
from concurrent.futures.process import BrokenProcessPool
from functools import partial

import pytest

from service_runtime.artefacts import load_artefact
from service_runtime.compute import Bounds, Executor
from service_runtime.errors import Unavailable
from service_runtime.metrics import exposition

WARM = []


def warm_up(word):
    WARM.append((word, os.getpid()))


def is_warm():
    return WARM


def hang(_seconds):
    time.sleep(30)


def fail(text):
    raise ValueError(text)


def crash():
    os._exit(1)


def executor(*, processes=False, workers=1, queue=1, deadline_s=5.0, warm=None):
    return Executor("test", Bounds(workers, queue, deadline_s), warm, processes=processes)


@pytest.mark.parametrize("processes", [False, True])
async def test_calls_return_their_result_or_raise_their_error(processes):
    async with executor(processes=processes) as pool:
        assert await pool.run(pow, 2, 10) == 1024
        with pytest.raises(ValueError, match="no"):
            await pool.run(fail, "no")
        assert await pool.run(pow, 2, 3) == 8


async def test_every_process_is_warm_before_the_first_call():
    async with executor(processes=True, workers=2, queue=2, warm=partial(warm_up, "x")) as pool:
        warm = await asyncio.gather(pool.run(is_warm), pool.run(is_warm))

    assert [[word for word, _ in one] for one in warm] == [["x"], ["x"]]
    assert {pid for one in warm for _, pid in one}.isdisjoint({os.getpid()})


async def test_threads_are_warmed_up_once_and_a_failure_ends_the_start():
    WARM.clear()
    async with executor(workers=3, warm=partial(warm_up, "x")):
        assert [("x", os.getpid())] == WARM

    with pytest.raises(ValueError, match="no model"):
        await executor(warm=partial(fail, "no model")).__aenter__()


async def test_a_full_queue_refuses_at_once():
    free = threading.Event()
    async with executor(queue=1) as pool:
        waiting = [asyncio.create_task(pool.run(free.wait, 10)) for _ in range(2)]
        await asyncio.sleep(0)

        with pytest.raises(Unavailable, match="the queue is full"):
            await pool.run(pow, 2, 2)

        free.set()
        assert await asyncio.gather(*waiting) == [True, True]
        assert await pool.run(pow, 2, 2) == 4


async def test_a_thread_past_its_deadline_stays_occupied_until_its_call_returns():
    free = threading.Event()
    async with executor(queue=0, deadline_s=0.05) as pool:
        with pytest.raises(TimeoutError):
            await pool.run(free.wait, 10)
        with pytest.raises(Unavailable):
            await pool.run(pow, 2, 2)

        free.set()
        async with asyncio.timeout(5):
            while True:
                try:
                    assert await pool.run(pow, 2, 2) == 4
                except Unavailable:
                    await asyncio.sleep(0.01)
                else:
                    break


async def test_a_process_past_its_deadline_is_replaced():
    async with executor(processes=True, deadline_s=1.0) as pool:
        first = await pool.run(os.getpid)
        with pytest.raises(TimeoutError):
            await pool.run(hang, 30)
        pool._bounds = Bounds(1, 1, 10)
        second = await pool.run(os.getpid)

    assert first != second
    with pytest.raises(ProcessLookupError):
        os.kill(first, 0)


async def test_a_process_that_dies_is_replaced():
    async with executor(processes=True, deadline_s=10) as pool:
        with pytest.raises(BrokenProcessPool):
            await pool.run(crash)
        assert await pool.run(pow, 2, 2) == 4


@pytest.fixture
def release(tmp_path):
    def released(content=b"[1, 2]", **changes):
        (tmp_path / "model.json").write_bytes(b"[1, 2]")
        digest = hashlib.sha256(content).hexdigest()
        manifest = {"version": "7", "file": "model.json", "sha256": digest, **changes}
        (tmp_path / "manifest.json").write_text(json.dumps(manifest))
        return tmp_path / "manifest.json"

    return released


def test_an_artefact_has_a_version_which_the_metrics_show(release):
    artefact = load_artefact("scores", release())

    assert (artefact.version, artefact.content) == ("7", b"[1, 2]")
    assert b'artefact_loaded{kind="scores 7"' in exposition()


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"content": b"[1, 3]"}, "another checksum"),
        ({"file": "other.json"}, "No such file"),
        ({"file": "../model.json"}, "file"),
        ({"version": ""}, "version"),
    ],
)
def test_an_artefact_that_is_not_the_released_one_is_refused(release, changes, rule):
    with pytest.raises(ValueError, match=rule):
        load_artefact("scores", release(**changes))
