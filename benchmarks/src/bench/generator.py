"""When operations start: a closed loop of workers, or arrivals that wait for nobody.

In the open loop all times are fixed beforehand and latency counts from them, so that a server which
stands still is seen by everyone who came meanwhile (no coordinated omission).
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence

Act = Callable[[int, float], Awaitable[None]]
"""Does operation `number`, intended at a time of the loop's clock; logs it, and raises nothing."""

MOST_IN_FLIGHT = 3000
"""Three times what the gateway lets wait: what it refuses is its choice and not ours."""
LEAD_S = 0.05


def poisson_arrivals(rate: float, seconds: float, seed: int) -> list[float]:
    """Return arrival times in seconds from the start: independent customers, the same every run."""
    chance = random.Random(seed)  # noqa: S311 - spreads arrivals, guards nothing
    arrivals: list[float] = []
    moment_s = chance.expovariate(rate)
    while moment_s < seconds:
        arrivals.append(moment_s)
        moment_s += chance.expovariate(rate)
    return arrivals


async def open_loop(
    arrivals: Sequence[float], act: Act, most_in_flight: int = MOST_IN_FLIGHT
) -> None:
    """Start every operation at its time, and wait for all.

    Past `most_in_flight` one starts late; its intended time stays what it was.
    """
    loop = asyncio.get_running_loop()
    start_s = loop.time() + LEAD_S
    room = asyncio.Semaphore(most_in_flight)
    async with asyncio.TaskGroup() as group:
        for number, offset_s in enumerate(arrivals):
            intended_s = start_s + offset_s
            if (early_s := intended_s - loop.time()) > 0:
                await asyncio.sleep(early_s)
            await room.acquire()
            task = group.create_task(_coroutine(act(number, intended_s)))
            task.add_done_callback(lambda _: room.release())


async def closed_loop(in_flight: int, seconds: float, act: Act) -> None:
    """Keep so many operations in flight for so long: each worker begins one as one ends."""
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
