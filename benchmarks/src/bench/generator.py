"""Load generation: a closed loop of workers, or an open loop with independent arrivals.

In the open loop all times are fixed in advance and latency counts from them, so a stall of the
server affects all arrivals during the stall (no coordinated omission).
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence

Act = Callable[[int, float], Awaitable[None]]
"""Executes and logs operation `number`, intended at a time of the loop's clock; never raises."""

MOST_IN_FLIGHT = 3000
"""Three times the gateway's limit, so that the gateway decides what it refuses."""
LEAD_S = 0.05


def poisson_arrivals(rate: float, seconds: float, seed: int) -> list[float]:
    """Return arrival times in seconds from the start: a Poisson process with a fixed seed."""
    random_source = random.Random(seed)  # noqa: S311 - spreads arrivals, guards nothing
    arrivals: list[float] = []
    moment_s = random_source.expovariate(rate)
    while moment_s < seconds:
        arrivals.append(moment_s)
        moment_s += random_source.expovariate(rate)
    return arrivals


async def open_loop(
    arrivals: Sequence[float], act: Act, most_in_flight: int = MOST_IN_FLIGHT
) -> None:
    """Start every operation at its time, and wait for all.

    Above `most_in_flight` an operation starts late; its intended time does not change.
    """
    loop = asyncio.get_running_loop()
    start_s = loop.time() + LEAD_S
    slots = asyncio.Semaphore(most_in_flight)
    async with asyncio.TaskGroup() as group:
        for number, offset_s in enumerate(arrivals):
            intended_s = start_s + offset_s
            if (early_s := intended_s - loop.time()) > 0:
                await asyncio.sleep(early_s)
            await slots.acquire()
            task = group.create_task(_coroutine(act(number, intended_s)))
            task.add_done_callback(lambda _: slots.release())


async def closed_loop(in_flight: int, seconds: float, act: Act) -> None:
    """Keep a number of operations in flight: each worker starts one when its last one ends."""
    loop = asyncio.get_running_loop()
    end_s = loop.time() + seconds
    numbers = iter(range(1_000_000_000))

    async def worker() -> None:
        while (now_s := loop.time()) < end_s:
            await act(next(numbers), now_s)

    async with asyncio.TaskGroup() as group:
        for _ in range(in_flight):
            group.create_task(worker())


async def _coroutine(work: Awaitable[None]) -> None:
    await work
