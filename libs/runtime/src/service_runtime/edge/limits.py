"""Rate limits: exact and shared through Redis; per process, never off, while Redis is down."""

import asyncio
import contextlib
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, Self

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from service_runtime import metrics
from service_runtime.breaker import Breaker
from service_runtime.errors import Unavailable
from service_runtime.logs import Log

SOCKET_WITHIN_S = 0.5
ADMIT_WITHIN_S = 1.0
MAX_KEYS_PER_CALL = 500
OPEN_S = 5.0
MAX_CONNECTION_AGE_S = 5.0
"""Longest use of one connection. A replaced master still accepts writes on open connections; only a
new connection reaches its successor, and until then two processes count separately."""
WINDOW_S = 60

_log = Log("limits")
_local = metrics.counter("rate_limit_local", "Requests limited without Redis.")


class Limits(Protocol):
    """Counts requests in a moving window, of one minute where no other is named."""

    async def admit(
        self, kind: str, key: str, limit: int, window_s: int = WINDOW_S
    ) -> float | None:
        """Count one request; return None if it is within the limit, else the seconds to wait.

        A limit whose requests are never local raises Unavailable without Redis.
        """
        ...

    async def clear(self, kind: str, key: str) -> None:
        """Forget the requests of a key."""
        ...


class MemoryLimits:
    """Windows of this process alone: the memory twin, and the limits while Redis is down."""

    def __init__(self, now_s: Callable[[], float]) -> None:
        self._now_s = now_s
        self._hits: defaultdict[tuple[str, str], list[float]] = defaultdict(list)
        self._ends_s: dict[tuple[str, str], float] = {}
        """When the last window of a key ends."""
        self._swept_s = now_s()

    async def admit(
        self, kind: str, key: str, limit: int, window_s: int = WINDOW_S
    ) -> float | None:
        now_s = self._now_s()
        if now_s - self._swept_s > WINDOW_S:
            self._sweep(now_s)
        recent = [at for at in self._hits[kind, key] if at > now_s - window_s]
        self._hits[kind, key] = recent
        if len(recent) >= limit:
            return recent[-limit] + window_s - now_s
        recent.append(now_s)
        self._ends_s[kind, key] = now_s + window_s
        return None

    async def clear(self, kind: str, key: str) -> None:
        self._forget((kind, key))

    def _sweep(self, now_s: float) -> None:
        """Forget the keys without a request in their last window."""
        self._swept_s = now_s
        for name in [name for name, end_s in self._ends_s.items() if end_s <= now_s]:
            self._forget(name)

    def _forget(self, name: tuple[str, str]) -> None:
        self._hits.pop(name, None)
        self._ends_s.pop(name, None)


_SCRIPT = """
local now = redis.call('TIME')
now = now[1] + now[2] / 1000000
local waits = {}
for i, key in ipairs(KEYS) do
    local limit, window = tonumber(ARGV[2 * i - 1]), tonumber(ARGV[2 * i])
    local oldest = tonumber(redis.call('LINDEX', key, limit - 1) or '-inf')
    if oldest > now - window then
        waits[i] = tostring(oldest + window - now)
    else
        redis.call('LPUSH', key, string.format('%.6f', now))
        redis.call('LTRIM', key, 0, limit - 1)
        redis.call('EXPIRE', key, window)
        waits[i] = ''
    end
end
return waits
"""
"""Admits each key whose LIMIT-th last request is older than the window, by Redis' clock."""


@dataclass(frozen=True, slots=True)
class _Request:
    """One request to count; `wait_s` becomes None where it is within the limit."""

    key: str
    limit: int
    window_s: int
    wait_s: asyncio.Future[float | None]


class _Windows:
    """Moving windows in Redis. Requests that arrive during a call share the next call."""

    def __init__(self, redis: Redis) -> None:
        self._connections = redis.connection_pool
        self._connected_s = time.monotonic()
        self._script = redis.register_script(_SCRIPT)
        self._waiting: list[_Request] = []
        self._calling: asyncio.Task[None] | None = None

    async def count(self, key: str, limit: int, window_s: int) -> float | None:
        """Count a request; raise RedisError, OSError or TimeoutError where Redis is down."""
        wait_s: asyncio.Future[float | None] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Request(key, limit, window_s, wait_s))
        if self._calling is None:
            self._calling = asyncio.create_task(self._call())
        return await wait_s

    async def _call(self) -> None:
        try:
            while self._waiting:
                requests = self._waiting[:MAX_KEYS_PER_CALL]
                del self._waiting[:MAX_KEYS_PER_CALL]
                await self._count_together(requests)
        finally:
            self._calling = None

    async def _count_together(self, requests: Sequence[_Request]) -> None:
        limits = [part for request in requests for part in (request.limit, request.window_s)]
        try:
            async with asyncio.timeout(ADMIT_WITHIN_S):
                if time.monotonic() - self._connected_s > MAX_CONNECTION_AGE_S:
                    await self._reconnect()
                found = await self._script(keys=[request.key for request in requests], args=limits)
        except (RedisError, OSError, TimeoutError) as error:
            for request in requests:
                if not request.wait_s.done():
                    request.wait_s.set_exception(error)
            # A demoted master answers READONLY until the connection is replaced.
            await self._reconnect()
            return
        for request, wait in zip(requests, found, strict=True):
            if not request.wait_s.done():
                request.wait_s.set_result(float(wait) if wait else None)

    async def _reconnect(self) -> None:
        self._connected_s = time.monotonic()
        with contextlib.suppress(RedisError, OSError):
            await self._connections.disconnect()


def connection_options(redis_url: str, password: str | None, tls_ca: str) -> dict[str, Any]:
    """Return how a service connects to Redis: deadlines, its password, the authority."""
    # CLIENT SETINFO would need a right, and Redis 7.0 does not know it.
    options: dict[str, Any] = {
        "driver_info": None,
        "socket_timeout": SOCKET_WITHIN_S,
        "socket_connect_timeout": SOCKET_WITHIN_S,
    }
    if password:
        options["password"] = password
    if tls_ca and redis_url.startswith("rediss:"):
        options["ssl_ca_certs"] = tls_ca
    return options


class SharedLimits:
    """Moving windows in Redis; windows of this process while Redis does not respond.

    `never_local`: kinds that are refused instead, because each process would admit the whole limit.
    """

    def __init__(
        self,
        redis_url: str,
        password: str | None = None,
        tls_ca: str = "",
        never_local: Collection[str] = (),
    ) -> None:
        self._never_local = never_local
        options = connection_options(redis_url, password, tls_ca)
        self._client = Redis.from_url(redis_url, **options, retry=Retry(NoBackoff(), 0))
        self._redis = _Windows(self._client)
        self._local = MemoryLimits(time.monotonic)
        self._breaker = Breaker(OPEN_S)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_error: object) -> None:
        await self._client.aclose()

    async def admit(
        self, kind: str, key: str, limit: int, window_s: int = WINDOW_S
    ) -> float | None:
        if self._breaker.admits(time.monotonic()):
            ok = False
            try:
                found = await self._redis.count(_name(kind, key), limit, window_s)
                ok = True
            except (RedisError, OSError, TimeoutError) as error:
                _log.warning("redis_away", error_class=type(error).__qualname__)
            else:
                return found
            finally:
                self._breaker.ended(time.monotonic(), ok=ok)
        if kind in self._never_local:
            raise Unavailable(f"{kind}: not limited without Redis, so refused")
        _local.add(1)
        return await self._local.admit(kind, key, limit, window_s)

    async def clear(self, kind: str, key: str) -> None:
        """Forget the requests of a key; without Redis its window ends by itself."""
        await self._local.clear(kind, key)
        with contextlib.suppress(RedisError, OSError, TimeoutError):
            # Trims the list to nothing; the rights of a service have no DEL.
            await self._client.ltrim(_name(kind, key), 1, 0)


def _name(kind: str, key: str) -> str:
    return f"limit/{kind}/{key}"
