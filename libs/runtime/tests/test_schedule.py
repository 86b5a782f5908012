"""A loop takes its steps again and again; a fault ends one step, never the process."""

import asyncio

import pytest

from service_runtime.errors import Unavailable
from service_runtime.schedule import repeat
from service_runtime.service import Service
from service_runtime.settings import HttpSettings
from testkit.events import NOON
from testkit.memory import SteadyClock


async def repeated(faults, steps, wait_s=0.0):
    """Take steps whose first ones fail with these faults; return how many were taken."""
    taken, stopping = [], asyncio.Event()

    async def step():
        taken.append(len(taken))
        if len(taken) == steps:
            stopping.set()
        if faults:
            raise faults.pop(0)
        return wait_s

    async with asyncio.timeout(5):
        await repeat("test", step, SteadyClock(NOON), stopping)
    return len(taken)


@pytest.mark.parametrize("faults", [[Unavailable("bank"), OSError()], [KeyError("x")]])
async def test_a_fault_ends_one_step_and_the_next_one_is_taken(faults):
    assert await repeated(faults, 4) == 4


async def test_a_stop_ends_the_wait_between_two_steps():
    assert await repeated([], 1, wait_s=60) == 1


async def test_what_is_done_at_an_interval_is_first_done_after_one():
    service = Service("probe", HttpSettings(port=1, profile="dev"))
    done, begin_s = asyncio.Event(), asyncio.get_running_loop().time()

    async def act():
        stopping.set()
        done.set()

    service.every("test", 0.05, act)
    (loop,) = service.process().loops
    stopping = asyncio.Event()
    async with asyncio.timeout(5):
        await loop(stopping)
    assert done.is_set()
    assert asyncio.get_running_loop().time() - begin_s >= 0.05
