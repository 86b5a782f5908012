"""Calls of the look-ups in chunks.

A missing, malformed or contradictory result fails the look-up of its record only.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from service_runtime.errors import Unavailable
from service_runtime.http_client import HttpClient
from service_runtime.logs import Log

CHUNK = 100
"""The limit of both services for one call."""
CHUNK_DEADLINE_S = 8.0
"""Of a chunk with all its halves; a slice of retries must fit its lease."""
OK = 200
REFUSED_FOR_ITS_CONTENT = frozenset({400, 413, 422})

A = TypeVar("A")
M = TypeVar("M", bound=BaseModel)
Query = Callable[[Sequence[str]], Awaitable[dict[str, A]]]
_log = Log("look_ups")


class RefusedError(Exception):
    """The service refused the content of a chunk; its halves may be accepted."""


class Reply(BaseModel):
    """A response, or a part of one; what it has beyond the fields is ignored."""

    model_config = ConfigDict(strict=True, extra="ignore")


async def in_chunks(
    query: Query[A], names: Collection[str], within_s: float | None = None
) -> dict[str, A]:
    """Query all names in concurrent chunks; a failed chunk has no results."""
    ordered = sorted(names)
    chunks = [ordered[start : start + CHUNK] for start in range(0, len(ordered), CHUNK)]
    found = await asyncio.gather(*(_query_chunk(query, chunk, within_s) for chunk in chunks))
    return {name: result for chunk in found for name, result in chunk.items()}


async def _query_chunk(
    query: Query[A], chunk: Sequence[str], within_s: float | None
) -> dict[str, A]:
    try:
        async with asyncio.timeout(within_s or CHUNK_DEADLINE_S):
            return await _bisect(query, chunk)
    except TimeoutError:
        _log.warning("look_up_failed", reason="chunk took too long", count=len(chunk))
        return {}


async def _bisect(query: Query[A], chunk: Sequence[str]) -> dict[str, A]:
    """Query a chunk; if its content is refused, query each half."""
    try:
        return await query(chunk)
    except Unavailable as error:
        _log.warning("look_up_failed", reason=str(error), count=len(chunk))
        return {}
    except RefusedError:
        if len(chunk) == 1:
            _log.warning("look_up_failed", reason="refused", count=1)
            return {}
    middle = len(chunk) // 2
    halves = await asyncio.gather(_bisect(query, chunk[:middle]), _bisect(query, chunk[middle:]))
    return halves[0] | halves[1]


async def post(client: HttpClient, path: str, body: Any) -> Any:
    """Return the response's body. Raises Unavailable; RefusedError for a refusal of the content."""
    response = await client.post(path, body)
    if response.status in REFUSED_FOR_ITS_CONTENT:
        raise RefusedError
    if response.status != OK:
        raise Unavailable(f"{path}: status {response.status}")
    return response.body


def parsed(model: type[M], body: Any) -> M:
    """Parse a response without its results. Raises Unavailable, naming the invalid field."""
    try:
        return model.model_validate(body)
    except ValidationError as error:
        where = ".".join(str(part) for part in error.errors()[0]["loc"])
        raise Unavailable(f"response: field {where or 'body'} is invalid") from None


def valid(model: type[M], results: Iterable[Any]) -> list[M]:
    """Return the valid results."""
    found = []
    for result in results:
        try:
            found.append(model.model_validate(result))
        except ValidationError:
            continue
    return found


def consistent(queried: Sequence[str], results: Sequence[tuple[str, A]]) -> dict[str, A]:
    """Return the results of queried names; two results for one name contradict each other."""
    times = Counter(name for name, _ in results)
    return {name: result for name, result in results if name in queried and times[name] == 1}
