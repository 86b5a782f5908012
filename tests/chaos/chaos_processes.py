"""Processes that are killed, paused or restarted."""

import asyncio

from chaos_arena import INSTANCES, OURS, Arena, NotHealedError
from chaos_limiter import accepted_at_most

STOP_S = (5.0, 15.0)
"""Longer than the lease (at most 10 s) and the group's session (6 s)."""
LONG_STOP_S = (15.0, 60.0)
LONG_EVERY = 4
AWAY_S = (3.0, 8.0)


async def kill_services(arena: Arena, count: int) -> str:
    """SIGKILL any two services or mocks at once, repeatedly."""
    slowest_s = 0.0
    for _ in range(0, count, 2):
        await asyncio.sleep(arena.chance.uniform(0, 1))
        two = arena.chance.sample(arena.victims(), 2)
        slowest_s = max(slowest_s, *await asyncio.gather(*(arena.kill(*one) for one in two)))
    return f"two at a time, ready again within {slowest_s:.1f} s"


async def stand_still(arena: Arena, count: int) -> str:
    """SIGSTOP any service for longer than lease and session; every fourth one for long."""
    longest_s = 0.0
    for number in range(1, count + 1):
        span_s = STOP_S if number % LONG_EVERY else LONG_STOP_S
        seconds = arena.chance.uniform(*span_s)
        longest_s = max(longest_s, seconds)
        await arena.pause(*arena.chance.choice(arena.victims(OURS)), seconds)
    return f"for {longest_s:.0f} s at most"


async def kill_kafka(arena: Arena, count: int) -> str:
    return await _kill_infrastructure(arena, "kafka", count)


async def kill_postgres(arena: Arena, count: int) -> str:
    return await _kill_infrastructure(arena, "postgres", count)


async def kill_redis(arena: Arena, count: int) -> str:
    """Kill Redis, which loses all data; the limit of each user stays bounded."""
    note = await accepted_at_most(arena, _kill_infrastructure(arena, "redis", count), count)
    return f"{note}; wiped by each kill"


async def _kill_infrastructure(arena: Arena, name: str, count: int) -> str:
    slowest_s = 0.0
    for _ in range(count):
        await asyncio.sleep(arena.chance.uniform(1, 3))
        slowest_s = max(slowest_s, await arena.kill(name))
        await arena.all_back()
    return f"back within {slowest_s:.1f} s"


async def stop_service(arena: Arena, name: str, count: int) -> str:
    """Stop all instances of a service for some seconds, repeatedly."""
    for _ in range(count):
        for number in range(INSTANCES):
            await arena.stop(name, number)
        await asyncio.sleep(arena.chance.uniform(*AWAY_S))
        for number in range(INSTANCES):
            await arena.start(name, number)
    return f"all {INSTANCES} instances each time"


async def stop_risk(arena: Arena, count: int) -> str:
    return await stop_service(arena, "risk", count)


async def stop_otp(arena: Arena, count: int) -> str:
    return await stop_service(arena, "otp", count)


async def rolling_restart(arena: Arena, count: int) -> str:
    """Restart the first instances of all services, then the second: no request is lost."""
    before = len(arena.log.operations)
    for _ in range(count):
        for number in range(INSTANCES):
            await asyncio.gather(*(arena.stop(name, number) for name in OURS))
            await asyncio.gather(*(arena.start(name, number) for name in OURS))
    seen = arena.log.operations[before:]
    if cut_off := [one.body for one in seen if not one.status]:
        raise NotHealedError(f"{len(cut_off)} requests without a response: {cut_off[:3]}")
    refused = sum(one.status == 503 for one in seen)
    pending = sum(one.status == 202 for one in seen)
    return f"{len(seen)} requests, {refused} of them 503, {pending} of them 202"
