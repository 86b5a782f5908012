"""Processes that die, stand still, or are restarted by an operator."""

import asyncio

from chaos_arena import OURS, Arena
from chaos_limiter import accepted_at_most

STOP_S = (5.0, 15.0)
"""Beyond the lease (at most 10 s) and the group's session (6 s)."""
LONG_STOP_S = (15.0, 60.0)
LONG_EVERY = 4
AWAY_S = (3.0, 8.0)


async def kill_services(arena: Arena, count: int) -> str:
    """SIGKILL any process of ours or of the outside, one after the other."""
    slowest_s = 0.0
    for _ in range(count):
        await asyncio.sleep(arena.chance.uniform(0, 1))
        slowest_s = max(slowest_s, await arena.kill(*arena.chance.choice(arena.victims())))
    return f"ready again within {slowest_s:.1f} s"


async def stand_still(arena: Arena, count: int) -> str:
    """SIGSTOP any service of ours, beyond lease and session; every fourth one for long."""
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
    """Kill Redis, which forgets everything with it; the limit of each user stays bounded."""
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
    """Stop all instances of a service for some seconds, again and again."""
    for _ in range(count):
        numbers = range(arena.stack.instances[name])
        for number in numbers:
            await arena.stop(name, number)
        await asyncio.sleep(arena.chance.uniform(*AWAY_S))
        for number in numbers:
            await arena.start(name, number)
    return f"{len(numbers)} instances each time"


async def stop_risk(arena: Arena, count: int) -> str:
    return await stop_service(arena, "risk", count)


async def stop_otp(arena: Arena, count: int) -> str:
    return await stop_service(arena, "otp", count)


async def rolling_restart(arena: Arena, count: int) -> str:
    """Restart one instance after the other with SIGTERM, while clients see nothing of it."""
    before = len(arena.log.operations)
    for _ in range(count):
        for name, number in arena.victims(OURS):
            await arena.stop(name, number)
            await arena.start(name, number)
    seen = arena.log.operations[before:]
    refused = sum(one.status == 503 for one in seen)
    pending = sum(one.status == 202 for one in seen)
    return f"{len(seen)} requests, {refused} of them 503, {pending} of them 202"
