"""Admin routes on what a consumer has handled, for the check that no record is lost (I5)."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any, LiteralString
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import Response, StreamingResponse
from pydantic import BaseModel, ConfigDict, Field

from service_runtime.postgres import PostgresDatabase
from service_runtime.web import JsonResponse

PATH = "/admin/consumed"
MOST_RECORDS = 1000
"""Most records in one request."""
MOST_IDS = 100_000
"""Most ids on one page."""
BLOCK_IDS = 1000
FIRST = UUID(int=0)
_HANDLED: LiteralString = """
    select event_id from inbox
    where consumer = %(consumer)s and event_id > %(after)s and handled_at < %(before)s
    order by event_id limit %(limit)s"""


class RecordRef(BaseModel):
    """A record's position and event id; None if the id is unreadable."""

    model_config = ConfigDict(extra="forbid")

    topic: str = Field(max_length=249)
    partition: int = Field(ge=0, lt=2**31)
    offset: int = Field(ge=0, lt=2**63)
    event_id: UUID | None


class Asked(BaseModel):
    """Records of topics that this consumer should have handled."""

    model_config = ConfigDict(extra="forbid")

    records: list[RecordRef] = Field(max_length=MOST_RECORDS)


def routes(
    consumer: str,
    topics: Sequence[str],
    database: PostgresDatabase,
    may_read: Callable[[Request], str],
) -> APIRouter:
    """Return the routes under `/admin/consumed`, for callers with the scope `ops.read`."""
    router = APIRouter(prefix=PATH, dependencies=[Depends(may_read)])

    @router.get("")
    async def consumed() -> dict[str, Any]:
        return {"topics": list(topics)}

    @router.post("/missing")
    async def missing(asked: Asked) -> Response:
        """Return the records that are neither in the inbox nor among the dead letters."""
        rows = [record.model_dump() for record in asked.records]
        async with database.transaction() as tx:
            return JsonResponse({"records": await tx.unaccounted(consumer, rows)})

    @router.get("/ids")
    async def ids(
        before: datetime,
        after: UUID = FIRST,
        limit: Annotated[int, Query(ge=1, le=MOST_IDS)] = MOST_IDS,
    ) -> Response:
        """Return ids behind `after` of events that were handled before a time, in their order."""
        asked = {"consumer": consumer, "before": before, "after": after, "limit": limit}
        return StreamingResponse(_ids_of(database, asked), media_type="application/json")

    return router


async def _ids_of(database: PostgresDatabase, asked: Mapping[str, Any]) -> AsyncIterator[str]:
    """Yield the body in blocks of a thousand ids, so that no page is held in memory."""
    yield '{"ids":['
    block, before = list[str](), '"'
    async with database.transaction(pipelined=False) as tx:
        async for (event_id,) in tx.copy_out(_HANDLED, **asked):
            block.append(event_id)
            if len(block) == BLOCK_IDS:
                yield before + '","'.join(block) + '"'
                block, before = [], ',"'
    yield (before + '","'.join(block) + '"' if block else "") + "]}"
