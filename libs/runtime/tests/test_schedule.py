"""What is done by the clock is done again and again, and an outage costs one time only."""

import asyncio

import pytest

from service_runtime.errors import Unavailable
from service_runtime.schedule import Schedule


async def ran(faults, times):
    """Run a schedule whose first times fail with these faults; return how often it acted."""
    acted, stopping = [], asyncio.Event()

    async def act():
        acted.append(len(acted))
        if len(acted) == times:
            stopping.set()
        if faults:
            raise faults.pop(0)

    async with asyncio.timeout(5):
        await Schedule("test", 0.01, act).run(stopping)
    return len(acted)


async def test_an_outage_is_waited_out_until_the_next_time():
    assert await ran([Unavailable("bank"), OSError()], 4) == 4


async def test_a_fault_of_ours_is_not_passed_over_in_silence():
    with pytest.raises(KeyError):
        await ran([KeyError("x")], 4)


async def test_a_stop_before_the_first_time_does_nothing():
    acted, stopping = [], asyncio.Event()

    async def act():
        acted.append(1)

    stopping.set()
    await Schedule("test", 60, act).run(stopping)
    assert acted == []
