"""Rounds that a person decides: the provider was not sure, or a document is another's, too."""

from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, HTTPException, Request
from fastapi.responses import Response
from pydantic import StringConstraints

from compliance.domain.kyc import Refusal, State, decide
from compliance.routes.bodies import Body
from compliance.routes.kyc import profile_shown
from compliance.routes.kyc_api import ERASED, GONE, KycApi, refused
from compliance.store.kyc import Kyc
from compliance.store.kyc_changes import announced
from compliance.store.subjects import Subjects
from payment_schemas.events.record import AuditRecorded
from service_runtime.http_unit import Reply
from service_runtime.messages import Cause, Emit
from service_runtime.operators import Operators
from service_runtime.paging import Keyset, Page
from service_runtime.postgres import PostgresTransaction
from service_runtime.subject_keys import ErasedError
from service_runtime.web import JsonResponse

Reason = Annotated[str, StringConstraints(min_length=1, max_length=500)]


class DecisionBody(Body):
    """A person's decision, with the reason, which the audit log keeps: no personal data."""

    decision: Literal["VERIFIED", "REJECTED"]
    reason: Reason


def add_reviews(router: APIRouter, api: KycApi, operators: Operators) -> None:
    """Add the routes under `/admin/kyc`."""
    reader = Depends(operators.require("ops.read", is_read=True))
    Writer = Annotated[str, Depends(operators.require("compliance.write"))]  # noqa: N806 - a type
    Pages = Annotated[Page, Depends(Keyset(["user_id"], [""]))]  # noqa: N806 - a type

    @router.get("/admin/kyc", dependencies=[reader])
    async def in_state(page: Pages, state: State = State.REVIEW) -> Response:
        """List the profiles in a state; without one, the rounds that wait for a person."""
        async with api.database.transaction() as tx:
            rows = await Kyc(tx).in_state(state, page.after[0], page.limit)
        return JsonResponse(page.reply("reviews", rows))

    @router.get("/admin/kyc/{user_id}", dependencies=[reader])
    async def profile(user_id: str) -> Response:
        """Return a person's profile; the read is audited."""
        try:
            async with api.database.transaction() as tx:
                return JsonResponse(await profile_shown(tx, api, user_id))
        except ErasedError:
            return JsonResponse(ERASED, GONE)

    @router.get("/admin/kyc/{user_id}/documents/{document_id}", dependencies=[reader])
    async def document(user_id: str, document_id: UUID) -> Response:
        """Return what a document shows; the read is audited."""
        try:
            async with api.database.transaction() as tx:
                documents = await Kyc(tx).documents(user_id)
                found = next((one for one in documents if one.id == document_id), None)
                if found is None:
                    raise HTTPException(404, "Not found")
                key = await api.vault.key_of(await Subjects(tx).found(user_id))
            content = await api.vault.document(key, document_id)
        except ErasedError:
            return JsonResponse(ERASED, GONE)
        headers = {"Cache-Control": "no-store", "Content-Disposition": "attachment"}
        return Response(content, 200, headers, found.media_type)

    @router.post("/admin/kyc/{user_id}/decide")
    async def decision(
        user_id: str, request: Request, body: DecisionBody, actor: Writer
    ) -> Response:
        """Decide about a round that waits for a person."""

        async def act(tx: PostgresTransaction, cause: Cause) -> Reply:
            return await _decide(tx, cause, api, user_id, (body, actor))

        return await api.run(request, actor, act)


async def _decide(
    tx: PostgresTransaction,
    cause: Cause,
    api: KycApi,
    user_id: str,
    given: tuple[DecisionBody, str],
) -> Reply:
    (body, actor), store, now = given, Kyc(tx), api.clock.now()
    before = (await store.locked([user_id])).get(user_id)
    documents = await store.documents(user_id, before.round) if before else []
    ends = [one.expires_on for one in documents if one.expires_on]
    until = api.validity.until(before.level if before else "BASIC", now, ends)
    is_verified = body.decision == "VERIFIED"
    if is_verified and until <= now:
        return refused(Refusal.NOT_IN_REVIEW, "a document has expired: reject, or wait for another")
    known = decide(before, is_verified=is_verified, until=until, now=now)
    if isinstance(known, Refusal):
        return refused(known)
    record = AuditRecorded(
        actor=actor,
        action=f"KYC_{body.decision}",
        about=user_id,
        metadata={"reason": body.reason, "round": str(known.round)},
    )
    events = await announced(known, store, cause, now)
    reply = {"userId": user_id, "status": known.status(now).upper()}
    return Reply(reply, events=[Emit(record, cause), *events])
