"""The listing of dead letters, masked for operators, and what is known of discarded ones."""

import asyncio
from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Annotated

from aiokafka.errors import KafkaError
from fastapi import APIRouter, Depends, Query
from fastapi.responses import Response
from pydantic import BaseModel, Field, StringConstraints

from ops.clients.dead_letters import (
    READ_WITHIN_S,
    DeadLetter,
    Wanted,
    is_discarded,
    letters_at,
    read_all,
    shown,
    wanted,
)
from ops.clients.redriving import MOST_REDRIVEN
from service_runtime.brokers import Brokers
from service_runtime.errors import Unavailable
from service_runtime.operators import Operators
from service_runtime.postgres import PostgresDatabase
from service_runtime.web import JsonResponse

Place = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._-]{1,245}/[0-9]{1,9}/[0-9]{1,18}$")]
Word = Annotated[str, StringConstraints(min_length=1, max_length=280)]


class Asked(BaseModel):
    """The filters of a listing; None filters nothing."""

    topic: Word | None = None
    reason: Word | None = None
    error_class: Word | None = None
    id: Word | None = None
    """An event's id, or a place."""
    discarded: bool = False
    """Those that were discarded, instead of those that were not."""
    limit: int = Field(default=100, ge=1, le=MOST_REDRIVEN)

    def matches(self, discarded: Mapping[str, datetime]) -> Wanted:
        """Return the predicate of the letters that are asked for."""
        match = wanted(self.topic, self.reason, self.id, self.error_class)
        return lambda one: match(one) and is_discarded(one, discarded) is self.discarded


def routes(brokers: Brokers, database: PostgresDatabase, operators: Operators) -> APIRouter:
    """Return the route, for operators with `ops.read`."""
    router = APIRouter(prefix="/admin")
    may_read = operators.require("ops.read", is_read=True)

    @router.get("/dead-letters", dependencies=[Depends(may_read)])
    async def listed(asked: Annotated[Asked, Query()]) -> Response:
        """Return the newest matching dead letters, masked, and all that match in groups."""
        matches = asked.matches(await discarded_at(database))
        try:
            async with asyncio.timeout(READ_WITHIN_S):
                found = await read_all(brokers, matches, asked.limit)
        except (KafkaError, TimeoutError) as error:
            raise Unavailable(f"Kafka does not respond ({type(error).__name__})") from None
        letters = [shown(one) for one in reversed(found.letters)]
        return JsonResponse({"letters": letters, "total": found.total, "groups": found.groups})

    return router


async def letters_in_kafka(brokers: Brokers, places: Collection[str]) -> list[DeadLetter]:
    """Return the dead letters at these places; raise Unavailable where Kafka does not respond."""
    try:
        return await letters_at(brokers, places)
    except (KafkaError, TimeoutError) as error:
        raise Unavailable(f"Kafka does not respond ({type(error).__name__})") from None


async def discarded_at(database: PostgresDatabase) -> dict[str, datetime]:
    """Return the places of discarded letters, each with its time."""
    async with database.transaction() as tx:
        rows = await tx.rows(
            """select place, max(discarded_at) as discarded_at
               from discard cross join lateral jsonb_array_elements_text(places) as place
               group by place"""
        )
    return {row["place"]: row["discarded_at"] for row in rows}
