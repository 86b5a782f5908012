"""Admin routes on what a consumer has handled, for the check that no record is lost (I5)."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Annotated, Any, LiteralString
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field

from service_runtime.postgres import PostgresDatabase
from service_runtime.web import JsonResponse

PATH = "/admin/consumed"
MOST_RECORDS = 1000
"""Most records in one request."""
MOST_IDS = 10_000
"""Most ids on one page."""
FIRST = UUID(int=0)
# Ten thousand ids travel as text and become no objects on the way: COPY takes a third of the time.
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
        async with database.transaction(pipelined=False) as tx:
            found = tx.copy_out(
                _HANDLED, consumer=consumer, before=before, after=after, limit=limit
            )
            return JsonResponse({"ids": [event_id async for (event_id,) in found]})

    return router
