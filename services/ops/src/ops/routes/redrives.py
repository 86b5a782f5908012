"""Dead letters that are published again; records and audit rows are one commit."""

from collections.abc import Collection
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field

from ops.clients.dead_letters import DeadLetter
from ops.clients.redriving import MOST_REDRIVEN, audited, each_once, original_of
from ops.routes.dead_letters import Place, letters_in_kafka
from service_runtime.brokers import Brokers
from service_runtime.clock import Clock
from service_runtime.http_unit import HttpUnitOfWork, Reply
from service_runtime.messages import Cause
from service_runtime.operators import Operators
from service_runtime.postgres import PostgresTransaction, json_rows
from service_runtime.proposals import CarryOut, Draft, Proposal, propose
from service_runtime.web import JsonResponse

REDRIVE = "DEAD_LETTERS_REDRIVE"
"""The act that needs two people; the trigger of the table names it, too."""


class Redrive(BaseModel):
    """The dead letters to publish again: topic, and partition and offset in its dead letters."""

    model_config = ConfigDict(extra="forbid")

    places: list[Place] = Field(min_length=1, max_length=MOST_REDRIVEN)


def routes(
    brokers: Brokers, requests: HttpUnitOfWork, operators: Operators, clock: Clock
) -> APIRouter:
    """Return the route, for operators with `dlq.redrive`."""
    router = APIRouter(prefix="/admin")
    may_redrive = operators.require("dlq.redrive")

    @router.post("/redrives")
    async def redrive(
        order: Redrive, request: Request, actor: Annotated[str, Depends(may_redrive)]
    ) -> Response:
        letters = await letters_in_kafka(brokers, set(order.places))
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
        letters = await letters_in_kafka(brokers, set(places))
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
