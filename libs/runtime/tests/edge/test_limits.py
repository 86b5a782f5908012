"""Limits: one contract in memory and in Redis; local limits while Redis is down."""

import asyncio
import time
from contextlib import suppress
from urllib.parse import urlsplit
from uuid import uuid4

import pytest
from redis.asyncio import Redis

from service_runtime.edge import limits as edge_limits
from service_runtime.edge.limits import MemoryLimits, SharedLimits
from service_runtime.errors import Unavailable


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
async def test_of_many_requests_at_once_exactly_the_limit_is_admitted(limits, crowd):
    who = somebody()

    waits = await asyncio.gather(*[limits.admit("user", who, 10) for _ in range(crowd)])

    assert waits.count(None) == 10
    assert all(0 < wait <= 60 for wait in waits if wait is not None)


async def test_each_user_and_each_limit_has_its_own_window(limits):
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
async def test_two_processes_share_their_limits(infrastructure):
    who = somebody()

    async with (
        SharedLimits(infrastructure.redis_url) as one,
        SharedLimits(infrastructure.redis_url) as two,
    ):
        waits = await asyncio.gather(
            *[limits.admit("user", who, 10) for limits in (one, two) for _ in range(10)]
        )

    assert waits.count(None) == 10


class Address:
    """An address of one of two masters: each is a database of the real Redis."""

    def __init__(self, redis_url):
        self._there = urlsplit(redis_url)
        self.master = 0

    async def __aenter__(self):
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        port = self._server.sockets[0].getsockname()[1]
        self.url = self._there._replace(
            netloc=f"{self._there.netloc.rpartition(':')[0]}:{port}"
        ).geturl()
        return self

    async def __aexit__(self, *_error):
        self._server.close()

    async def _connected(self, reader, writer):
        there, back = await asyncio.open_connection(self._there.hostname, self._there.port)
        if self._there.password:
            back.write(f"AUTH {self._there.username} {self._there.password}\r\n".encode())
            await there.readline()
        back.write(f"SELECT {self.master}\r\n".encode())
        await there.readline()
        with suppress(OSError):
            await asyncio.gather(_carry(reader, back), _carry(there, writer))


async def _carry(source, sink):
    while chunk := await source.read(65536):
        sink.write(chunk)
        await sink.drain()
    sink.close()


@pytest.mark.stack
async def test_two_processes_share_one_limit_after_a_switch_over_of_redis(
    infrastructure, monkeypatch
):
    monkeypatch.setattr(edge_limits, "MAX_CONNECTION_AGE_S", 0.2)
    who = somebody()
    async with (
        Address(infrastructure.redis_url) as address,
        SharedLimits(address.url) as stays,
        SharedLimits(address.url) as comes,
    ):
        # The old master runs on and accepts writes on its open connections.
        await stays.admit("user", somebody(), 10)
        address.master = 1
        await comes.admit("user", somebody(), 10)
        await asyncio.sleep(0.3)

        waits = await asyncio.gather(
            *[limits.admit("user", who, 10) for limits in (stays, comes) for _ in range(10)]
        )

    assert waits.count(None) == 10


@pytest.mark.stack
async def test_connections_to_a_demoted_master_are_replaced(infrastructure, monkeypatch):
    monkeypatch.setattr(edge_limits, "MAX_CONNECTION_AGE_S", 60)
    who = somebody()
    async with (
        Redis.from_url(infrastructure.redis_url) as redis,
        SharedLimits(infrastructure.redis_url) as limits,
    ):
        await limits.admit("user", who, 10)
        mine = await connections(redis)
        await redis.execute_command("REPLICAOF", "127.0.0.1", "1")
        try:
            assert await limits.admit("user", who, 10) is None
        finally:
            await redis.execute_command("REPLICAOF", "NO", "ONE")
        await limits.admit("user", who, 10)

        assert not mine & await connections(redis)


async def connections(redis):
    """The ids of all connections but this test's."""
    mine = await redis.client_id()
    return {one["id"] for one in await redis.client_list()} - {str(mine)}


async def test_without_redis_the_limits_are_local_and_never_off():
    who = somebody()

    async with SharedLimits("redis://127.0.0.1:1") as limits:
        waits = await asyncio.gather(*[limits.admit("user", who, 10) for _ in range(50)])

    assert waits.count(None) == 10


@pytest.mark.stack
async def test_a_redis_that_does_not_respond_is_not_awaited_and_used_again_later(infrastructure):
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


async def test_local_windows_are_forgotten_with_their_last_request():
    now = [0.0]
    limits = MemoryLimits(lambda: now[0])
    for number in range(1000):
        await limits.admit("user", f"usr-{number}", 10)
    now[0] += 61

    await limits.admit("user", "usr-1", 10)

    assert len(limits._hits) == 1


async def test_a_limit_has_the_window_that_it_names_and_can_be_cleared(limits):
    who = somebody()
    assert await limits.admit("user", who, 1, 900) is None
    assert await limits.admit("user", who, 1, 900) == pytest.approx(900, abs=1)
    await limits.clear("user", who)
    assert await limits.admit("user", who, 1, 900) is None


async def test_without_redis_a_limit_that_is_never_local_refuses():
    async with SharedLimits("redis://127.0.0.1:1", never_local=["login"]) as shared:
        with pytest.raises(Unavailable):
            await shared.admit("login", somebody(), 10)
        assert await shared.admit("user", somebody(), 10) is None
