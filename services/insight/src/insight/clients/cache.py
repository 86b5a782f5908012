"""Answers of a model in Redis, by a hash of what was asked. No key or value is about a person."""

from typing import Protocol, Self

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from service_runtime import metrics
from service_runtime.edge.limits import connection_options
from service_runtime.settings import RedisSettings

KEPT_S = 7 * 86_400
_PREFIX = "cache/insight/"
_looks = metrics.counter("insight_cache", "Looks for a cached answer, by result.")


class Answers(Protocol):
    """Answers that may be missing at any time."""

    async def get(self, key: str) -> str | None:
        """Return an answer; None where there is none, or no Redis."""
        ...

    async def put(self, key: str, text: str) -> None:
        """Keep an answer for a week; without Redis, do nothing."""
        ...


class RedisAnswers:
    """Answers in Redis, with the deadlines of all services."""

    def __init__(self, settings: RedisSettings) -> None:
        options = connection_options(
            settings.redis_url, settings.redis_password, settings.redis_tls_ca
        )
        retry = Retry(NoBackoff(), 0)
        self._redis: Redis = Redis.from_url(settings.redis_url, **options, retry=retry)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_error: object) -> None:
        await self._redis.aclose()

    async def get(self, key: str) -> str | None:
        try:
            found = await self._redis.get(_PREFIX + key)
        except (RedisError, OSError, TimeoutError):
            _looks.add(1, {"result": "away"})
            return None
        _looks.add(1, {"result": "miss" if found is None else "hit"})
        return None if found is None else _text(found)

    async def put(self, key: str, text: str) -> None:
        try:
            await self._redis.set(_PREFIX + key, text.encode(), ex=KEPT_S)
        except (RedisError, OSError, TimeoutError):
            _looks.add(1, {"result": "not_kept"})


def _text(found: bytes | str) -> str:
    return found if isinstance(found, str) else found.decode("utf-8", "replace")
