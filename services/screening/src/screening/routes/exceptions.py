"""Exceptions: proposed by one person, approved by another, ended by anyone of them."""

from datetime import date
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, HTTPException, Query, Request
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from payment_schemas.events.record import AuditRecorded
from screening.domain.exceptions import ACT, Excepted, fault_of, shown
from screening.routes.api import Api
from screening.store import Exceptions
from service_runtime.http_unit import Reply
from service_runtime.messages import Cause, Emit
from service_runtime.paging import START, Keyset, Page
from service_runtime.postgres import PostgresTransaction
from service_runtime.proposals import Draft, Proposal, propose
from service_runtime.web import JsonResponse

BY_ID = Keyset(["id"], [START])
Account = Annotated[str, StringConstraints(pattern=r"^[^\x00-\x1f]{1,200}$")]


class ExceptionBody(BaseModel):
    """The holder of an account is not an entry of a list."""

    model_config = ConfigDict(extra="forbid")

    account_id: Account
    list: Annotated[str, Field(min_length=1, max_length=20)]
    entry: Annotated[str, Field(min_length=1, max_length=64)]
    reason: Annotated[str, StringConstraints(pattern=r"^[^\x00-\x1f]{1,500}$")]
    """What distinguishes the two: what an examiner reads."""
    last_day: date


def add_exceptions(router: APIRouter, api: Api) -> None:
    """Add the listing, the proposal and the end of exceptions."""
    reader = Depends(api.operators.require("ops.read", is_read=True))
    Writer = Annotated[str, Depends(api.operators.require("compliance.write"))]  # noqa: N806 - a type

    @router.get("/admin/exceptions", dependencies=[reader])
    async def listing(
        page: Annotated[Page, Depends(BY_ID)],
        account_id: Annotated[str | None, Query(max_length=200)] = None,
    ) -> Response:
        """Return exceptions, ended ones too."""
        async with api.database.transaction() as tx:
            rows = await Exceptions(tx).page(account_id, page.after[0], page.limit)
        return JsonResponse(page.reply("exceptions", rows))

    @router.post("/admin/exceptions", status_code=202)
    async def proposed(request: Request, actor: Writer, body: ExceptionBody) -> Response:
        """Propose an exception; the proposal shows the entry to the second person."""
        draft = _draft(api, body)

        async def act(tx: PostgresTransaction, cause: Cause) -> Reply:
            return await propose(tx, cause, draft, actor)

        return await api.requests.run(request, actor, act)

    @router.post("/admin/exceptions/{exception_id}/end")
    async def end(request: Request, actor: Writer, exception_id: UUID) -> Response:
        """End an exception now: the next payment is declined again."""

        async def act(tx: PostgresTransaction, cause: Cause) -> Reply:
            ended = await Exceptions(tx).end(exception_id, actor)
            if ended is None:
                return Reply({"error": f"No exception to end: {exception_id}"}, 409)
            return Reply(ended, events=[Emit(_ended(ended, actor), cause)])

        return await api.requests.run(request, actor, act)


async def add_exception(
    tx: PostgresTransaction, proposal: Proposal, approver: str, _cause: Cause
) -> Reply:
    """Add the approved exception: it counts for the next screening."""
    fields: dict[str, Any] = {name: proposal.body[name] for name in Excepted.__dataclass_fields__}
    excepted = Excepted(**fields | {"last_day": date.fromisoformat(fields["last_day"])})
    await Exceptions(tx).add(proposal.id, excepted, proposal.proposed_by, approver)
    return Reply({"id": proposal.id, "about": excepted.about, "last_day": excepted.last_day})


def _draft(api: Api, body: ExceptionBody) -> Draft:
    """Return what is proposed; raise HTTPException 400 that names the wrong field."""
    if fault := fault_of(body.last_day, api.clock.now().date()):
        raise HTTPException(400, {"error": "Invalid field: last_day", "details": fault})
    screener = api.lists.current.screener
    entry = screener.entry(body.list, body.entry)
    if entry is None:
        details = f"{body.list} has no entry {body.entry}"
        raise HTTPException(400, {"error": "Invalid field: entry", "details": details})
    one = Excepted(body.account_id, body.list, body.entry, body.reason, body.last_day)
    content = {name: getattr(one, name) for name in Excepted.__dataclass_fields__}
    return Draft(ACT, one.about, content | {"entry": shown(entry, screener.version_of(entry))})


def _ended(ended: dict[str, Any], actor: str) -> AuditRecorded:
    about = f"{ended['account_id']} is not {ended['list_name']} {ended['entry_id']}"
    return AuditRecorded(
        actor=actor, action=f"{ACT}_ENDED", about=about, metadata={"exception": str(ended["id"])}
    )
