"""Dead letters that two people discard, with a reason; each is an audit row in the same commit."""

from collections.abc import Collection, Mapping
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from ops.clients.dead_letters import DeadLetter, is_discarded
from ops.clients.discarding import audited, summary_of
from ops.clients.discards import MOST_DISCARDED
from ops.routes.dead_letters import Place, discarded_at, letters_in_kafka
from service_runtime.brokers import Brokers
from service_runtime.http_unit import HttpUnitOfWork, Reply
from service_runtime.messages import Cause
from service_runtime.operators import Operators
from service_runtime.paging import Keyset, Page
from service_runtime.postgres import PostgresDatabase, PostgresTransaction, json_rows
from service_runtime.proposals import CarryOut, Draft, Proposal, propose
from service_runtime.retention import Retention
from service_runtime.web import JsonResponse

DISCARD = "DEAD_LETTERS_DISCARD"
"""The act that needs two people, also for one letter; the trigger of the table names it, too."""
DISCARDS = Retention("discard", "discarded_at", timedelta(days=97))
"""Longer than a letter can lie in its topic, which keeps it for 90 days."""
END, LAST = datetime.max.replace(tzinfo=UTC), UUID(int=2**128 - 1)
NEWEST_FIRST = Keyset(["discarded_at", "id"], [END, LAST], most=100)
Reason = Annotated[
    str,
    StringConstraints(
        strip_whitespace=True, min_length=10, max_length=280, pattern=r"^[^\x00-\x1f\x7f]+$"
    ),
]


class Discard(BaseModel):
    """The dead letters to discard, and why; the reason is in the audit log."""

    model_config = ConfigDict(extra="forbid")

    places: list[Place] = Field(min_length=1, max_length=MOST_DISCARDED)
    reason: Reason


def routes(
    brokers: Brokers, database: PostgresDatabase, requests: HttpUnitOfWork, operators: Operators
) -> APIRouter:
    """Return the routes: to read with `ops.read`, to propose with `dlq.redrive`."""
    router = APIRouter(prefix="/admin")
    may_read = operators.require("ops.read", is_read=True)
    may_propose = operators.require("dlq.redrive")

    @router.get("/discards", dependencies=[Depends(may_read)])
    async def listed(page: Annotated[Page, Depends(NEWEST_FIRST)]) -> Response:
        """Return discards, the newest first, with the two people."""
        async with database.transaction() as tx:
            rows = await tx.rows(_LISTED, at=page.after[0], id=page.after[1], limit=page.limit)
        return JsonResponse(page.reply("discards", rows))

    @router.post("/discards")
    async def discard(
        order: Discard, request: Request, actor: Annotated[str, Depends(may_propose)]
    ) -> Response:
        """Propose to discard dead letters: each of them, also where another consumer has one."""
        letters = await letters_in_kafka(brokers, set(order.places))
        if why := _refusal(order.places, letters, await discarded_at(database)):
            return JsonResponse({"error": why}, 409)

        async def act(tx: PostgresTransaction, cause: Cause) -> Reply:
            return await propose(tx, cause, _draft(letters, order.reason), actor)

        return await requests.run(request, actor, act)

    return router


def approved(brokers: Brokers) -> CarryOut:
    """Return the function that discards the dead letters of an approved proposal."""

    async def carry_out(
        tx: PostgresTransaction, proposal: Proposal, actor: str, cause: Cause
    ) -> Reply:
        places, reason = proposal.body["places"], proposal.body["reason"]
        letters = await letters_in_kafka(brokers, set(places))
        if len(letters) != len(places):
            return Reply({"error": "Not approved", "details": "a dead letter is gone"}, 409)
        await tx.run(
            "insert into discard (id, reason, places) values (%(id)s, %(reason)s, %(places)s)",
            id=proposal.id,
            reason=reason,
            places=json_rows(places),
        )
        events = [audited(letter, reason, actor, cause) for letter in letters]
        return Reply({"discarded": len(letters)}, events=events)

    return carry_out


_LISTED = """
    select discard.id, reason, places, discarded_at, proposed_by, approved_by
    from discard left join approval on proposal_id = id
    where (discarded_at, id) < (%(at)s, %(id)s)
    order by discarded_at desc, id desc limit %(limit)s"""


def _refusal(
    places: Collection[str], letters: Collection[DeadLetter], known: Mapping[str, datetime]
) -> str | None:
    """Say why letters cannot be discarded; None where they can."""
    if gone := sorted(set(places) - {letter.place for letter in letters}):
        return f"Unknown dead letter: {gone[0]}"
    if over := sorted(one.place for one in letters if is_discarded(one, known)):
        return f"Discarded already: {over[0]}"
    return None


def _draft(letters: Collection[DeadLetter], reason: str) -> Draft:
    """Return the proposal: what its approver reads is what was read before it was made."""
    ordered = sorted(letters, key=lambda letter: letter.place)
    body: dict[str, Any] = {
        "places": [letter.place for letter in ordered],
        "reason": reason,
        "letters": [summary_of(letter) for letter in ordered],
    }
    about = f"{len(ordered)} dead letter{'s' * (len(ordered) > 1)}"
    return Draft(DISCARD, about, body)
