"""Review cases: the queue, one case, what people do about it, and how two of them end it."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from datetime import date
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from compliance.domain.cases import (
    Case,
    CaseError,
    Kind,
    State,
    assigned,
    check_closable,
    escalated,
    open_case,
    without_suspect,
)
from compliance.routes.api import Api
from compliance.routes.review_bodies import AssignBody, CloseBody, NoteBody, SuspectBody
from compliance.store import Cases, Reviews
from payment_schemas.events.record import AuditRecorded
from service_runtime.http_unit import Reply, StaleVersionError, version_of
from service_runtime.messages import Cause, Emit
from service_runtime.paging import START, Keyset, Page
from service_runtime.postgres import PostgresTransaction
from service_runtime.proposals import Draft, Proposal, propose
from service_runtime.web import JsonResponse

CLOSE_CASE = "CASE_CLOSE"
"""The act that needs two people; the trigger of the table names it, too."""
READ, WRITE = "reviews.read", "reviews.write"
PATH = "/admin/reviews"
BY_DEADLINE = Keyset(["due_on", "id"], [date.min, START], most=200)


@dataclass(frozen=True, slots=True)
class Deed:
    """What a person did to a case, read of it or wrote about it."""

    by: str
    act: str
    text: str | None = None


Change = Callable[[Case], Case]
"""Returns the case as it becomes; the same one where nothing of it changes."""


def review_routes(api: Api) -> APIRouter:
    """Return the routes under `/admin/reviews`."""
    router = APIRouter(prefix=PATH)
    _add_reads(router, api)
    _add_acts(router, api)
    _add_closing(router, api)
    return router


def subject_of(actor: str) -> str:
    """Return the subject of an operator: nobody sees or decides a case about oneself."""
    return actor.partition("|")[2]


def _add_reads(router: APIRouter, api: Api) -> None:
    Reader = Annotated[str, Depends(api.operators.require(READ))]  # noqa: N806 - a type
    NotedReader = Annotated[  # noqa: N806 - a type
        str, Depends(api.operators.require(READ, is_read=True))
    ]

    @router.get("")
    async def queue(
        actor: NotedReader,
        page: Annotated[Page, Depends(BY_DEADLINE)],
        state: State | None = None,
        kind: Kind | None = None,
    ) -> Response:
        """Return cases, those due first; without a state, the undecided ones."""
        due_on, case_id = page.after
        async with api.database.transaction() as tx:
            found = await Reviews(tx).queue(
                (due_on, case_id), page.limit, state=state, kind=kind, hidden=subject_of(actor)
            )
        return JsonResponse(page.reply("reviews", found))

    @router.get("/{case_id}")
    async def one(case_id: UUID, request: Request, actor: Reader) -> Response:
        """Return a case with its evidence and entries; the look is an entry, too."""

        async def act(tx: PostgresTransaction, cause: Cause) -> Reply:
            case = await Cases(tx).find(case_id, subject_of(actor))
            if case is None:
                return unknown(case_id)
            reviews = Reviews(tx)
            body = {
                **asdict(case),
                "evidence": await reviews.evidence(case),
                "entries": await reviews.entries(case_id),
            }
            noted = await entry(tx, cause, case, Deed(actor, "READ"))
            return Reply(body, events=[noted], version=case.version)

        return await api.requests.run(request, actor, act)


def _add_acts(router: APIRouter, api: Api) -> None:
    Writer = Annotated[str, Depends(api.operators.require(WRITE))]  # noqa: N806 - a type

    @router.post("/{case_id}/assign")
    async def assign(case_id: UUID, request: Request, actor: Writer, body: AssignBody) -> Response:
        """Give a case to somebody, or take it."""
        assignee = body.assignee or actor

        return await acted(
            api,
            request,
            case_id,
            Deed(actor, "ASSIGNED", assignee),
            lambda case: replace(case, state=assigned(case), assignee=assignee),
        )

    @router.post("/{case_id}/escalate")
    async def escalate(case_id: UUID, request: Request, actor: Writer, body: NoteBody) -> Response:
        """Escalate a case, with the reason."""
        done = Deed(actor, "ESCALATED", body.text)
        return await acted(
            api, request, case_id, done, lambda case: replace(case, state=escalated(case))
        )

    @router.post("/{case_id}/notes")
    async def note(case_id: UUID, request: Request, actor: Writer, body: NoteBody) -> Response:
        """Add a note; it becomes part of a draft's narrative."""
        return await acted(api, request, case_id, Deed(actor, "NOTED", body.text), open_case)

    @router.post("/{case_id}/suspect")
    async def suspect(
        case_id: UUID, request: Request, actor: Writer, body: SuspectBody
    ) -> Response:
        """Say whether a suspect is identified: without one there are 60 days instead of 30."""

        def change(case: Case) -> Case:
            day = case.detected_at.astimezone(api.zone).date()
            due_on = without_suspect(case, day, suspect_known=body.known)
            return replace(case, suspect_known=body.known, due_on=due_on)

        word = "SUSPECT_KNOWN" if body.known else "SUSPECT_UNKNOWN"
        return await acted(api, request, case_id, Deed(actor, word, body.text), change)


def _add_closing(router: APIRouter, api: Api) -> None:
    Writer = Annotated[str, Depends(api.operators.require(WRITE))]  # noqa: N806 - a type

    @router.post("/{case_id}/close", status_code=202)
    async def close(case_id: UUID, request: Request, actor: Writer, body: CloseBody) -> Response:
        """Propose how a case ends; a second person approves it."""
        seen = version_of(request)

        async def act(tx: PostgresTransaction, cause: Cause) -> Reply:
            case = await Cases(tx).lock(case_id, subject_of(actor))
            if case is None:
                return unknown(case_id)
            if seen not in (None, case.version):
                raise StaleVersionError("case: changed since it was read")
            try:
                check_closable(case, api.clock.now().astimezone(api.zone).date())
            except CaseError as error:
                return refused(error)
            content = {
                "id": str(case.id),
                "version": case.version + 1,
                "outcome": body.outcome,
                "kind": case.kind,
                "reason": body.text,
            }
            draft = Draft(CLOSE_CASE, f"{case.id} {body.outcome}", content)
            proposed = await propose(tx, cause, draft, actor)
            proposer = Deed(actor, "CLOSE_PROPOSED", body.text)
            noted = await entry(tx, cause, case, proposer)
            return replace(proposed, events=[*proposed.events, noted])

        return await api.requests.run(request, actor, act)


async def close_case(
    api: Api, tx: PostgresTransaction, proposal: Proposal, approver: str, cause: Cause
) -> Reply:
    """End a case as it was proposed; refused where it has changed meanwhile."""
    content = proposal.body
    cases = Cases(tx)
    case = await cases.lock(UUID(content["id"]), subject_of(approver))
    if case is None:
        return unknown(UUID(content["id"]))
    if case.version + 1 != content["version"]:
        return refused(CaseError("it has changed since the proposal: read it, propose again"))
    closed = replace(
        case,
        state="CLOSED",
        outcome=content["outcome"],
        closed_at=api.clock.now(),
        version=content["version"],
    )
    await cases.save(closed)
    noted = await entry(tx, cause, closed, Deed(approver, "CLOSED", content["outcome"]))
    return Reply({"case_id": case.id, "outcome": closed.outcome}, events=[noted])


async def acted(api: Api, request: Request, case_id: UUID, deed: Deed, change: Change) -> Response:
    """Change a locked case and keep what was done, with its text; answer 409 where it cannot be."""
    seen = version_of(request)

    async def act(tx: PostgresTransaction, cause: Cause) -> Reply:
        cases = Cases(tx)
        case = await cases.lock(case_id, subject_of(deed.by))
        if case is None:
            return unknown(case_id)
        if seen not in (None, case.version):
            raise StaleVersionError("case: changed since it was read")
        try:
            became = change(case)
        except CaseError as error:
            return refused(error)
        if became != case:
            became = replace(became, version=case.version + 1)
            await cases.save(became)
        noted = await entry(tx, cause, became, deed)
        return Reply(asdict(became), events=[noted], version=became.version)

    return await api.requests.run(request, deed.by, act)


async def entry(tx: PostgresTransaction, cause: Cause, case: Case, deed: Deed) -> Emit:
    """Add what a person did to a case; return the audit record, without the text."""
    await Reviews(tx).add_entry({"case_id": case.id, **asdict(deed)})
    event = AuditRecorded(
        actor=deed.by,
        action=f"CASE_{deed.act}",
        about=str(case.id),
        metadata={"state": case.state, "version": str(case.version)},
    )
    return Emit(event, Cause(cause.id, cause.trace, discriminator=f"{deed.act} {case.id}"))


def unknown(case_id: UUID) -> Reply:
    """Return the reply about a case that does not exist, or is about the operator."""
    # Not 404: an older version without this route answers 404.
    return Reply({"error": f"Unknown case: {case_id}"}, 409)


def refused(error: CaseError) -> Reply:
    """Return the reply to an act that the case does not allow."""
    return Reply({"error": "Not done", "details": str(error)}, 409)
