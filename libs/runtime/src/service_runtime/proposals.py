"""Acts that need two people: one operator proposes, another one approves within a day.

A proposal's content is what takes effect: the approver names it by its digest, and the database
refuses to write anything else. The service's role can change neither proposal nor approval. The
effect is in the approval's transaction, and so are its audit records.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field

from payment_schemas.events.record import AuditRecorded
from payment_schemas.scopes import Scope
from service_runtime.http_unit import HttpUnitOfWork, Reply
from service_runtime.messages import Cause, Emit
from service_runtime.operators import Operators
from service_runtime.postgres import PostgresTransaction, json_rows
from service_runtime.retention import Retention

PROPOSALS = Retention("proposal", "expires_at", timedelta(days=90))
"""The audit log keeps who proposed and approved what; the content is forgotten."""
ACCEPTED = 202


@dataclass(frozen=True, slots=True)
class Draft:
    """An act to propose."""

    act: str
    about: str
    """What it is about, without personal data."""
    body: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """An act that one operator has proposed."""

    id: UUID
    act: str
    about: str
    body: dict[str, Any]
    proposed_by: str
    proposed_at: datetime
    expires_at: datetime
    digest: bytes
    """SHA-256 of act, about and body; set by the database."""
    approved_by: str | None = None
    is_over: bool = False


class Approval(BaseModel):
    """What an approver approves: the content that was read, by its digest."""

    model_config = ConfigDict(extra="forbid")

    digest: str = Field(pattern=r"^[0-9a-f]{64}$")


CarryOut = Callable[[PostgresTransaction, Proposal, str, Cause], Awaitable[Reply]]
"""Writes the effect of an approved proposal; the text is the approver. A reply from 400 on refuses
it: nothing is written then, the approval neither."""

Show = Callable[[PostgresTransaction, Proposal], Awaitable[object]]
"""Returns the content of a proposal as a person reads it."""

_FOUND = """
    select proposal.*, approved_by, proposal.expires_at <= now() as is_over
    from proposal left join approval on proposal_id = id"""


async def propose(tx: PostgresTransaction, cause: Cause, draft: Draft, actor: str) -> Reply:
    """Store a proposal; return the reply that names it, 202."""
    await tx.run(
        """insert into proposal (id, act, about, body, proposed_by)
           values (%(id)s, %(act)s, %(about)s, %(body)s, %(actor)s)""",
        id=cause.id,
        act=draft.act,
        about=draft.about,
        body=json_rows(draft.body),
        actor=actor,
    )
    (stored,) = await tx.rows(_FOUND + " where id = %(id)s", id=cause.id)
    proposal = Proposal(**stored)
    return Reply(_listed(proposal), ACCEPTED, [audited(proposal, actor, "PROPOSED", cause)])


def audited(proposal: Proposal, actor: str, step: str, cause: Cause) -> Emit:
    """Return the audit record of a step of a proposal."""
    metadata = {"proposal": str(proposal.id), "proposed_by": proposal.proposed_by}
    event = AuditRecorded(
        actor=actor, action=f"{proposal.act}_{step}", about=proposal.about, metadata=metadata
    )
    return Emit(event, Cause(cause.id, cause.trace, discriminator=step))


@dataclass(frozen=True, slots=True)
class Acts:
    """What a service carries out, and who approves it."""

    carry_out: Mapping[str, CarryOut]
    scope: Scope
    """Whoever approves needs it."""
    confidential: Mapping[str, Scope] = field(default_factory=dict)
    """Acts that only operators with one more scope see and approve."""
    shown: Mapping[str, Show] = field(default_factory=dict)
    """How the content of an act is shown that is stored sealed."""

    async def hidden_from(self, operators: Operators, request: Request) -> list[str]:
        """Return the acts that the operator of a request must not see."""
        return [
            act
            for act, scope in self.confidential.items()
            if not await operators.holds(request, scope)
        ]


def routes(acts: Acts, requests: HttpUnitOfWork, operators: Operators) -> APIRouter:
    """Return the routes under `/admin/proposals`: read `ops.read`, approve with the scope."""
    router = APIRouter(prefix="/admin/proposals")
    may_read, may_approve = operators.require("ops.read"), operators.require(acts.scope)

    @router.get("")
    async def listing(request: Request, actor: Annotated[str, Depends(may_read)]) -> Response:
        """Return the proposals that can be approved now, without their content."""
        hidden = await acts.hidden_from(operators, request)

        async def act(tx: PostgresTransaction, _cause: Cause) -> Reply:
            where = """ where approved_by is null and proposal.expires_at > now()
                        and not proposal.act = any(%(hidden)s)
                        order by proposed_at, id limit 1000"""
            rows = await tx.rows(_FOUND + where, hidden=hidden)
            return Reply({"proposals": [_listed(Proposal(**row)) for row in rows]})

        return await requests.run(request, actor, act)

    @router.get("/{proposal_id}")
    async def one(
        proposal_id: UUID, request: Request, actor: Annotated[str, Depends(may_read)]
    ) -> Response:
        """Return a proposal with its content, which may be personal: the read is audited."""
        hidden = await acts.hidden_from(operators, request)

        async def act(tx: PostgresTransaction, cause: Cause) -> Reply:
            proposal = await _find(tx, proposal_id, hidden)
            if proposal is None:
                return _unknown(proposal_id)
            show = acts.shown.get(proposal.act)
            body = _listed(proposal) | {"body": await show(tx, proposal) if show else proposal.body}
            return Reply(body, events=[audited(proposal, actor, "READ", cause)])

        return await requests.run(request, actor, act)

    @router.post("/{proposal_id}/approve")
    async def approve(
        proposal_id: UUID,
        approval: Approval,
        request: Request,
        actor: Annotated[str, Depends(may_approve)],
    ) -> Response:
        """Approve a proposal, and carry its act out in the same transaction."""
        hidden = await acts.hidden_from(operators, request)

        async def act(tx: PostgresTransaction, cause: Cause) -> Reply:
            proposal = await _find(tx, proposal_id, hidden)
            if proposal is None:
                return _unknown(proposal_id)
            if why := refusal(proposal, actor, approval.digest):
                return Reply({"error": "Not approved", "details": why}, 409)
            return await _approve(tx, proposal, actor, cause, acts.carry_out[proposal.act])

        return await requests.run(request, actor, act)

    return router


async def _approve(
    tx: PostgresTransaction,
    proposal: Proposal,
    actor: str,
    cause: Cause,
    carry_out: CarryOut,
) -> Reply:
    # Of two at once the second waits for the first here; its retry finds the approval.
    await tx.run(
        """insert into approval (proposal_id, act, proposed_by, expires_at, digest,
                                 approved_by)
           values (%(id)s, %(act)s, %(by)s, %(expires_at)s, %(digest)s, %(actor)s)""",
        id=proposal.id,
        act=proposal.act,
        by=proposal.proposed_by,
        expires_at=proposal.expires_at,
        digest=proposal.digest,
        actor=actor,
    )
    done = await carry_out(tx, proposal, actor, cause)
    body = {**done.body, "proposal": proposal.id, "proposed_by": proposal.proposed_by}
    events = [audited(proposal, actor, "APPROVED", cause), *done.events]
    return Reply(body, done.status, events, done.records)


def refusal(proposal: Proposal, actor: str, digest: str) -> str | None:
    """Say why a proposal cannot be approved; None where it can."""
    if proposal.approved_by is not None:
        return f"it is approved already, by {proposal.approved_by}"
    if proposal.is_over:
        return f"it expired at {proposal.expires_at.isoformat()}: propose it again"
    if proposal.proposed_by.lower() == actor.lower():
        return "a second person must approve it"
    if proposal.digest.hex() != digest:
        return "its content has another digest: read it again"
    return None


async def _find(
    tx: PostgresTransaction, proposal_id: UUID, hidden: Sequence[str]
) -> Proposal | None:
    where = " where id = %(id)s and not proposal.act = any(%(hidden)s)"
    rows = await tx.rows(_FOUND + where, id=proposal_id, hidden=hidden)
    return Proposal(**rows[0]) if rows else None


def _listed(proposal: Proposal) -> dict[str, Any]:
    return {
        "proposal": proposal.id,
        "act": proposal.act,
        "about": proposal.about,
        "proposed_by": proposal.proposed_by,
        "proposed_at": proposal.proposed_at,
        "expires_at": proposal.expires_at,
        "digest": proposal.digest.hex(),
    }


def _unknown(proposal_id: UUID) -> Reply:
    # Not 404: an older version without this route answers 404.
    return Reply({"error": f"Unknown proposal: {proposal_id}"}, 409)
