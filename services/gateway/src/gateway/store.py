"""Limits on requests: exact and shared in Redis; per process, never open, where Redis is gone."""

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable
from typing import Any, Protocol, Self

from limits import RateLimitItemPerMinute
from limits.aio.storage import MemoryStorage, RedisStorage
from limits.aio.strategies import MovingWindowRateLimiter
from redis.asyncio import BlockingConnectionPool
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from service_runtime import metrics
from service_runtime.breaker import Breaker
from service_runtime.logs import Log

SOCKET_WITHIN_S = 0.5
ADMIT_WITHIN_S = 1.0
"""With the wait for a connection: a crowd must not pass for a Redis that is gone."""
OPEN_S = 5.0
CONNECTIONS = 64
WINDOW_S = 60.0

_log = Log("limits")
_local = metrics.counter("rate_limit_local", "Requests limited without Redis.")


class Limits(Protocol):
    """Counts requests in a moving window of one minute."""

    async def admit(self, kind: str, who: str, limit: int) -> float | None:
        """Count one request; return None where it may pass, else the seconds until one may."""
        ...


class MemoryLimits:
    """The twin: windows in one process, by a time that is handed in."""

    def __init__(self, now_s: Callable[[], float]) -> None:
        self._now_s = now_s
        self._hits: defaultdict[tuple[str, str], list[float]] = defaultdict(list)

    async def admit(self, kind: str, who: str, limit: int) -> float | None:
        now_s = self._now_s()
        recent = [at for at in self._hits[kind, who] if at > now_s - WINDOW_S]
        self._hits[kind, who] = recent
        if len(recent) >= limit:
            return recent[-limit] + WINDOW_S - now_s
        recent.append(now_s)
        return None


class SharedLimits:
    """Moving windows in Redis, one script call a request; local ones while it does not answer."""

    def __init__(self, redis_url: str) -> None:
        # Blocking: a pool that raises when it is empty would pass for a Redis that is gone.
        self._pool = BlockingConnectionPool.from_url(
            redis_url,
            max_connections=CONNECTIONS,
            timeout=ADMIT_WITHIN_S,
            socket_timeout=SOCKET_WITHIN_S,
            socket_connect_timeout=SOCKET_WITHIN_S,
            retry=Retry(NoBackoff(), 0),
        )
        # The pool goes through to redis-py, of which the storage's own types know nothing.
        options: dict[str, Any] = {"connection_pool": self._pool}
        storage = RedisStorage(f"async+{redis_url}", implementation="redispy", **options)
        self._redis = MovingWindowRateLimiter(storage)
        self._memory = MovingWindowRateLimiter(MemoryStorage())
        self._breaker = Breaker(OPEN_S)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_error: object) -> None:
        await self._pool.aclose()

    async def admit(self, kind: str, who: str, limit: int) -> float | None:
        if self._breaker.admits(time.monotonic()):
            ok = False
            try:
                async with asyncio.timeout(ADMIT_WITHIN_S):
                    found = await _window(self._redis, kind, who, limit)
                ok = True
            except (RedisError, OSError, TimeoutError) as error:
                _log.warning("redis_away", error_class=type(error).__qualname__)
            else:
                return found
            finally:
                self._breaker.ended(time.monotonic(), ok=ok)
        _local.add(1)
        return await _window(self._memory, kind, who, limit)


async def _window(
    limiter: MovingWindowRateLimiter, kind: str, who: str, limit: int
) -> float | None:
    item = RateLimitItemPerMinute(limit)
    if await limiter.hit(item, kind, who):
        return None
    stats = await limiter.get_window_stats(item, kind, who)
    return max(0.0, float(stats.reset_time) - time.time())
