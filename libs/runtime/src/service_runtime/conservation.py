"""The admin route on what a consumer has handled, for the check that no record is lost (I5)."""

from collections.abc import Awaitable, Callable, Sequence

from fastapi import APIRouter, Depends
from fastapi.responses import Response

from service_runtime.postgres import PostgresDatabase
from service_runtime.web import JsonResponse

PATH = "/admin/consumed"


def routes(
    consumer: str,
    topics: Sequence[str],
    database: PostgresDatabase,
    may_read: Callable[..., Awaitable[str]],
) -> APIRouter:
    """Return the route `/admin/consumed`, for callers that `may_read`."""
    router = APIRouter(prefix=PATH, dependencies=[Depends(may_read)])

    @router.get("")
    async def consumed() -> Response:
        """Return the consumer's topics and, for each partition that it has begun, its offsets.

        `missing`: how many records below `next_offset` are neither handled nor dead letters.
        """
        async with database.transaction() as tx:
            partitions = await tx.consumption(consumer)
        # Also topics that a pattern has found.
        known = sorted({*topics, *(row["topic"] for row in partitions)})
        return JsonResponse({"topics": known, "partitions": partitions})

    return router
