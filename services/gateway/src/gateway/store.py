"""Limits on requests: exact and shared in Redis; per process, never open, where Redis is gone."""

from typing import Protocol

from limits.aio.storage import MemoryStorage, RedisStorage
from limits.aio.strategies import MovingWindowRateLimiter

from service_runtime import metrics
from service_runtime.breaker import Breaker
from service_runtime.logs import Log

REDIS_WITHIN_S = 0.25
OPEN_S = 5.0
CONNECTIONS = 64

_log = Log("limits")
_local = metrics.counter("rate_limit_local", "Requests limited without Redis.")


class Limits(Protocol):
    """Counts requests in a moving window of one minute."""

    async def admit(self, kind: str, who: str, limit: int) -> float | None:
        """Count one request; return None where it may pass, else the seconds until one may."""
        ...


class SharedLimits:
    """Moving windows in Redis, one script call a request; local ones while it does not answer."""

    def __init__(self, redis_url: str) -> None:
        self._redis = MovingWindowRateLimiter(
            RedisStorage(
                f"async+{redis_url}",
                implementation="redispy",
                max_connections=CONNECTIONS,
                socket_timeout=REDIS_WITHIN_S,
                socket_connect_timeout=REDIS_WITHIN_S,
            )
        )
        self._memory = MovingWindowRateLimiter(MemoryStorage())
        self._breaker = Breaker(OPEN_S)

    async def admit(self, kind: str, who: str, limit: int) -> float | None:
        return await self._ask(kind, who, limit, count=True)
