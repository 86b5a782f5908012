"""Limits: one contract in memory and in Redis; and what happens while Redis is gone."""

import asyncio
import time
from uuid import uuid4

import pytest
from redis.asyncio import Redis

from gateway.store import MemoryLimits, SharedLimits


@pytest.fixture(params=["memory", pytest.param("redis", marks=pytest.mark.stack)])
async def limits(request):
    if request.param == "memory":
        yield MemoryLimits(time.time)
        return
    infrastructure = request.getfixturevalue("infrastructure")
    async with SharedLimits(infrastructure.redis_url) as shared:
        yield shared


def somebody():
    return f"usr-{uuid4()}"


@pytest.mark.parametrize("crowd", [50, 200])
async def test_of_many_at_once_exactly_the_limit_is_admitted(limits, crowd):
    who = somebody()

    waits = await asyncio.gather(*[limits.admit("user", who, 10) for _ in range(crowd)])

    assert waits.count(None) == 10
    assert all(0 < wait <= 60 for wait in waits if wait is not None)


async def test_each_user_and_each_kind_has_a_window_of_its_own(limits):
    one, other = somebody(), somebody()

    assert await limits.admit("user", one, 1) is None
    assert await limits.admit("user", one, 1) is not None
    assert await limits.admit("user", other, 1) is None
    assert await limits.admit("failed", one, 1) is None


async def test_the_window_moves(limits):
    who, started_s = somebody(), time.time()
    await limits.admit("user", who, 2)
    await asyncio.sleep(0.3)
    await limits.admit("user", who, 2)

    wait_s = await limits.admit("user", who, 2)

    assert wait_s == pytest.approx(started_s + 60 - time.time(), abs=0.25)


@pytest.mark.stack
async def test_two_gateways_share_their_limits(infrastructure):
    who = somebody()

    async with (
        SharedLimits(infrastructure.redis_url) as one,
        SharedLimits(infrastructure.redis_url) as two,
    ):
        waits = await asyncio.gather(
            *[limits.admit("user", who, 10) for limits in (one, two) for _ in range(10)]
        )

    assert waits.count(None) == 10


async def test_without_redis_the_limits_are_local_and_never_open():
    who = somebody()

    async with SharedLimits("redis://127.0.0.1:1") as limits:
        waits = await asyncio.gather(*[limits.admit("user", who, 10) for _ in range(50)])

    assert waits.count(None) == 10


@pytest.mark.stack
async def test_a_redis_that_answers_nothing_is_not_waited_for_and_comes_back(infrastructure):
    who, later = somebody(), somebody()
    async with (
        Redis.from_url(infrastructure.redis_url) as redis,
        SharedLimits(infrastructure.redis_url) as limits,
    ):
        await limits.admit("user", who, 3)
        await redis.execute_command("CLIENT", "PAUSE", "2500", "ALL")

        started_s = time.monotonic()
        waits = await asyncio.gather(*[limits.admit("user", who, 3) for _ in range(20)])
        assert time.monotonic() - started_s < 2
        assert waits.count(None) == 3

        async with asyncio.timeout(15):
            while not await redis.keys(f"*{later}*"):
                await limits.admit("user", later, 1000)
                await asyncio.sleep(0.1)
