"""Reports: suspicious activity, drafts for FinCEN, and who did and read what."""

import hashlib
from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, HTTPException, Request
from fastapi.responses import Response

from compliance.domain.cases import Case, Kind, State
from compliance.domain.filings import Filing, ctr_of, sar_of
from compliance.routes.api import Api
from compliance.routes.review_bodies import MOST_CASES, ReportBody
from compliance.routes.reviews import (
    BY_DEADLINE,
    PATH,
    READ,
    WRITE,
    Deed,
    entry,
    subject_of,
    unknown,
)
from compliance.store import Cases, Reviews, evidence_of
from service_runtime.http_unit import Reply
from service_runtime.messages import Cause
from service_runtime.paging import START, Keyset, Page
from service_runtime.postgres import PostgresTransaction
from service_runtime.web import JsonResponse

BY_TIME = Keyset(["at", "id"], [datetime.min.replace(tzinfo=UTC), START], most=200)
XML = "application/xml"


def add_reports(router: APIRouter, api: Api) -> None:
    """Add the routes under `/reports`, as credit-platform.md prints them."""
    Writer = Annotated[str, Depends(api.operators.require(WRITE))]  # noqa: N806 - a type
    Reader = Annotated[str, Depends(api.operators.require(READ, is_read=True))]  # noqa: N806 - a type

    @router.get("/reports/suspicious")
    async def suspicious(
        actor: Reader, page: Annotated[Page, Depends(BY_DEADLINE)], state: State | None = None
    ) -> Response:
        """Return the cases of suspicious activity, those due first; by default undecided ones."""
        due_on, case_id = page.after
        async with api.database.transaction() as tx:
            found = await Reviews(tx).queue(
                (due_on, case_id), page.limit, state=state, kind="SAR", hidden=subject_of(actor)
            )
        return JsonResponse(page.reply("reports", found))

    @router.post("/reports/regulatory", status_code=201)
    async def regulatory(request: Request, actor: Writer, body: ReportBody) -> Response:
        """Draft a report of up to 100 cases as FinCEN's batch XML. Nothing is sent anywhere."""

        async def act(tx: PostgresTransaction, cause: Cause) -> Reply:
            cases = await _cases_of(api, tx, body, subject_of(actor))
            document = await drafted(api, tx, body.type, cases)
            digest = hashlib.sha256(document).hexdigest()
            drafter = Deed(actor, "DRAFTED", digest)
            noted = [await entry(tx, cause, one, drafter) for one in cases]
            reply = {
                "reportId": cause.id,
                "type": body.type,
                "caseIds": [one.id for one in cases],
                "sha256": digest,
                "document": document.decode(),
            }
            return Reply(reply, status=201, events=noted)

        return await api.requests.run(request, actor, act)

    @router.get("/reports/audit-trail")
    async def audit_trail(
        actor: Reader,
        page: Annotated[Page, Depends(BY_TIME)],
        caseId: UUID | None = None,  # noqa: N803 - as the other fields of the document
    ) -> Response:
        """Return what people did and read, the oldest first; of one case, or of all."""
        at, entry_id = page.after
        async with api.database.transaction() as tx:
            found = await Reviews(tx).trail(
                (at, entry_id), page.limit, case_id=caseId, hidden=subject_of(actor)
            )
        return JsonResponse(page.reply("entries", found))


def draft_routes(api: Api) -> APIRouter:
    """Return the route of one case's draft, for the console and the command."""
    router = APIRouter(prefix=PATH)
    Reader = Annotated[str, Depends(api.operators.require(READ))]  # noqa: N806 - a type

    @router.get("/{case_id}/draft")
    async def draft(case_id: UUID, request: Request, actor: Reader) -> Response:
        """Return the draft of a case's report as XML; that it was made is an entry."""
        made: list[bytes] = []

        async def act(tx: PostgresTransaction, cause: Cause) -> Reply:
            case = await Cases(tx).find(case_id, subject_of(actor))
            if case is None:
                return unknown(case_id)
            made.append(await drafted(api, tx, case.kind, [case]))
            digest = hashlib.sha256(made[-1]).hexdigest()
            return Reply({}, events=[await entry(tx, cause, case, Deed(actor, "DRAFTED", digest))])

        done = await api.requests.run(request, actor, act, is_stored=False)
        return Response(made[-1], media_type=XML) if made else done

    return router


async def drafted(api: Api, tx: PostgresTransaction, kind: Kind, cases: Sequence[Case]) -> bytes:
    """Return the drafts of cases as one batch; answer 409 without an institution."""
    if api.filer is None:
        details = "FILER is not set: drafts name the institution that files"
        raise HTTPException(409, {"error": "Not done", "details": details})
    reviews = Reviews(tx)
    today = api.clock.now().astimezone(api.zone).date()
    filings = [
        Filing(
            one,
            evidence_of(await reviews.evidence(one)),
            await reviews.notes(one.id),
            today,
            api.zone,
        )
        for one in cases
    ]
    return (sar_of if kind == "SAR" else ctr_of)(filings, api.filer)


async def _cases_of(
    api: Api, tx: PostgresTransaction, body: ReportBody, hidden: str
) -> Sequence[Case]:
    """Return the cases of a report; answer 400 where there are none, or too many."""
    cases = Cases(tx)
    if body.case_ids is not None:
        found = [await cases.find(one, hidden) for one in dict.fromkeys(body.case_ids)]
        chosen = [one for one in found if one is not None and one.kind == body.type]
        if len(chosen) < len(found):
            raise _invalid("caseIds", f"must be cases of the type {body.type}")
        return chosen
    first = _midnight(api, body.since)
    end = _midnight(api, body.until) + timedelta(days=1)
    chosen = await cases.of_period(body.type, first, end, hidden, MOST_CASES + 1)
    if not 1 <= len(chosen) <= MOST_CASES:
        raise _invalid("from", f"the period must have 1 to {MOST_CASES} cases of the type")
    return chosen


def _midnight(api: Api, day: date | None) -> datetime:
    return datetime.combine(day or date.min, time(), api.zone)


def _invalid(field: str, details: str) -> HTTPException:
    return HTTPException(400, {"error": f"Invalid field: {field}", "details": details})
