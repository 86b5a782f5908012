"""Dead letters: masked for operators, and redriven; records and audit rows are one commit."""

import asyncio
from collections.abc import Collection
from typing import Annotated

from aiokafka.errors import KafkaError
from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from ops.clients.dead_letters import (
    READ_WITHIN_S,
    DeadLetter,
    letters_at,
    read_all,
    shown,
    wanted,
)
from ops.clients.redriving import MOST_REDRIVEN, audited, each_once, original_of
from service_runtime.brokers import Brokers
from service_runtime.clock import Clock
from service_runtime.errors import Unavailable
from service_runtime.http_unit import HttpUnitOfWork, Reply
from service_runtime.messages import Cause
from service_runtime.operators import Operators
from service_runtime.postgres import PostgresTransaction, json_rows
from service_runtime.proposals import CarryOut, Draft, Proposal, propose
from service_runtime.web import JsonResponse

Place = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._-]{1,245}/[0-9]{1,9}/[0-9]{1,18}$")]

Word = Annotated[str, StringConstraints(min_length=1, max_length=280)]

REDRIVE = "DEAD_LETTERS_REDRIVE"
"""The act that needs two people; the trigger of the table names it, too."""


class Asked(BaseModel):
    """Which dead letters are asked for; None asks for all."""

    topic: Word | None = None
    reason: Word | None = None
    error_class: Word | None = None
    id: Word | None = None
    """An event's id, or a place."""
    limit: int = Field(default=100, ge=1, le=MOST_REDRIVEN)


class Redrive(BaseModel):
    """The dead letters to publish again: topic, and partition and offset in its dead letters."""

    model_config = ConfigDict(extra="forbid")

    places: list[Place] = Field(min_length=1, max_length=MOST_REDRIVEN)


def routes(
    brokers: Brokers, requests: HttpUnitOfWork, operators: Operators, clock: Clock
) -> APIRouter:
    """Return the routes: to read with `ops.read`, to redrive with `dlq.redrive`."""
    router = APIRouter(prefix="/admin")
    may_read = operators.require("ops.read", is_read=True)
    may_redrive = operators.require("dlq.redrive")

    @router.get("/dead-letters", dependencies=[Depends(may_read)])
    async def listed(asked: Annotated[Asked, Query()]) -> Response:
        """Return the newest matching dead letters, masked, and all that match in groups."""
        matches = wanted(asked.topic, asked.reason, asked.id, asked.error_class)
        try:
            async with asyncio.timeout(READ_WITHIN_S):
                found = await read_all(brokers, matches, asked.limit)
        except (KafkaError, TimeoutError) as error:
            raise Unavailable(f"Kafka does not respond ({type(error).__name__})") from None
        letters = [shown(one) for one in reversed(found.letters)]
        return JsonResponse({"letters": letters, "total": found.total, "groups": found.groups})

    @router.post("/redrives")
    async def redrive(
        order: Redrive, request: Request, actor: Annotated[str, Depends(may_redrive)]
    ) -> Response:
        letters = await _read(brokers, set(order.places))
        gone = sorted(set(order.places) - {letter.place for letter in letters})
        if gone:
            return JsonResponse({"error": f"Unknown dead letter: {gone[0]}"}, 409)

        async def act(tx: PostgresTransaction, cause: Cause) -> Reply:
            once = each_once(letters)
            if len(once) == 1:
                return await _redriven(tx, once, actor, cause, clock)
            about, body = f"{len(once)} dead letters", {"places": [one.place for one in once]}
            return await propose(tx, cause, Draft(REDRIVE, about, body), actor)

        return await requests.run(request, actor, act)

    return router


def approved(brokers: Brokers, clock: Clock) -> CarryOut:
    """Return the function that redrives the dead letters of an approved proposal."""

    async def carry_out(
        tx: PostgresTransaction, proposal: Proposal, actor: str, cause: Cause
    ) -> Reply:
        places = proposal.body["places"]
        letters = await _read(brokers, set(places))
        if len(letters) != len(places):
            return Reply({"error": "Not approved", "details": "a dead letter is gone"}, 409)
        return await _redriven(tx, letters, actor, cause, clock)

    return carry_out


async def _redriven(
    tx: PostgresTransaction,
    letters: Collection[DeadLetter],
    actor: str,
    cause: Cause,
    clock: Clock,
) -> Reply:
    """Return the reply that publishes the letters again, each with its audit record."""
    now = clock.now().isoformat()
    await tx.run(
        "insert into redrive (id, letters, places) values (%(id)s, %(count)s, %(places)s)",
        id=cause.id,
        count=len(letters),
        places=json_rows([letter.place for letter in letters]),
    )
    return Reply(
        {"redriven": len(letters)},
        events=[audited(letter, actor, cause) for letter in letters],
        records=[original_of(letter, now) for letter in letters],
    )


async def _read(brokers: Brokers, places: Collection[str]) -> list[DeadLetter]:
    try:
        return await letters_at(brokers, places)
    except (KafkaError, TimeoutError) as error:
        raise Unavailable(f"Kafka does not respond ({type(error).__name__})") from None
