"""Subjects: exported, held, released, and erased by two people."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response
from pydantic import AfterValidator, StringConstraints

from compliance.routes.bodies import Body
from compliance.routes.kyc import document_shown
from compliance.routes.kyc_api import ERASED, GONE, KycApi, status_shown
from compliance.store.kyc import Kyc
from compliance.store.names import payer_name, profiles_of
from compliance.store.subjects import Subject, Subjects
from compliance.store.vault import Vault, opened_json
from payment_schemas.events.record import AuditRecorded
from payment_schemas.events.subject import SubjectErased
from payment_schemas.ids import UserId, printable
from payment_schemas.scopes import Scope
from service_runtime.http_unit import Reply
from service_runtime.messages import Cause, Emit
from service_runtime.operators import Operators
from service_runtime.postgres import PostgresTransaction
from service_runtime.proposals import Draft, Proposal, propose
from service_runtime.subject_keys import ErasedError

ERASE = "SUBJECT_ERASE"
"""The act that needs two people; the trigger of the table names it, too."""
SUBJECTS: Scope = "subjects.erase"
AnyUser = Annotated[UserId, AfterValidator(printable)]
UNKNOWN = {"error": "Unknown subject", "details": "compliance has no personal data of this user"}


class HoldBody(Body):
    """Why a subject may not be erased, such as the number of an order."""

    reason: Annotated[str, StringConstraints(min_length=1, max_length=500)]


def add_subjects(router: APIRouter, api: KycApi, operators: Operators) -> None:
    """Add the routes under `/admin/subjects`; a reply of 409 says why nothing was done."""
    path, actor = "/admin/subjects/{user_id}", Depends(operators.require(SUBJECTS))
    add = partial(_add_route, router, api, actor)
    add(("GET", path), _read)
    add(("GET", path + "/export"), _export)
    add(("POST", path + "/release"), _release)
    add(("POST", path + "/erase"), _erase)

    @router.post(path + "/hold")
    async def hold(
        user_id: AnyUser, request: Request, body: HoldBody, by: Annotated[str, actor]
    ) -> Response:
        """Hold a subject: nobody erases it, and no retention deletes of it."""
        acting = Acting(api, user_id, by, body.reason)
        return await api.requests.run(request, by, partial(_hold, acting=acting))


@dataclass(frozen=True, slots=True)
class Acting:
    """An act on a subject."""

    api: KycApi
    user_id: str
    actor: str
    reason: str = ""

    def record(self, action: str, cause: Cause) -> Emit:
        """Return the audit record of the act."""
        return Emit(AuditRecorded(actor=self.actor, action=action, about=self.user_id), cause)


SubjectAct = Callable[..., Awaitable[Reply]]


def _add_route(
    router: APIRouter, api: KycApi, actor: Any, at: tuple[str, str], act: SubjectAct
) -> None:
    async def route(user_id: AnyUser, request: Request, by: Annotated[str, actor]) -> Response:
        acting = partial(act, acting=Acting(api, user_id, by))
        return await api.requests.run(request, by, acting, is_stored=False)

    (method, path), name = at, act.__name__.strip("_")
    router.add_api_route(path, route, methods=[method], description=act.__doc__ or "", name=name)


async def _read(tx: PostgresTransaction, cause: Cause, acting: Acting) -> Reply:
    """Return whether there is personal data, a hold or an erasure."""
    found = await Subjects(tx).found(acting.user_id)
    if found is None:
        return Reply(UNKNOWN, status=409)
    return Reply(_shown(found), events=[acting.record("SUBJECT_READ", cause)])


async def _hold(tx: PostgresTransaction, cause: Cause, acting: Acting) -> Reply:
    await acting.api.vault.ensure_subject(tx, acting.user_id)
    if refusal := await _refusal(tx, acting.user_id):
        return refusal
    now = acting.api.clock.now()
    await Subjects(tx).hold(acting.user_id, acting.actor, acting.reason, now)
    return await _after(tx, acting.user_id, acting.record("SUBJECT_HELD", cause))


async def _release(tx: PostgresTransaction, cause: Cause, acting: Acting) -> Reply:
    """End a hold."""
    if refusal := await _refusal(tx, acting.user_id):
        return refusal
    await Subjects(tx).release(acting.user_id)
    return await _after(tx, acting.user_id, acting.record("SUBJECT_RELEASED", cause))


async def _erase(tx: PostgresTransaction, cause: Cause, acting: Acting) -> Reply:
    """Propose to erase a subject; a second person approves. Refused under a hold.

    Other services may have data of a person who is unknown here.
    """
    if held := _under_hold(await Subjects(tx).locked(acting.user_id)):
        return held
    draft = Draft(ERASE, acting.user_id, {"user_id": acting.user_id})
    return await propose(tx, cause, draft, acting.actor)


async def erase_approved(
    tx: PostgresTransaction, proposal: Proposal, _approver: str, cause: Cause, vault: Vault
) -> Reply:
    """Erase a subject: from now on nothing is read or written; the key goes seconds later.

    An erased person is announced again: an owner may have lost the first announcement.
    """
    user_id = proposal.body["user_id"]
    await vault.ensure_subject(tx, user_id)
    found = await Subjects(tx).locked(user_id)
    if held := _under_hold(found):
        return held
    if found is not None and not found.is_erased:
        await Subjects(tx).erase(user_id, vault.clock.now())
    return await _after(tx, user_id, Emit(SubjectErased(user_id=user_id), cause))


async def _export(tx: PostgresTransaction, cause: Cause, acting: Acting) -> Reply:
    """Return the subject's personal data, for the subject; the export is audited."""
    api, user_id = acting.api, acting.user_id
    found, store = await Subjects(tx).found(user_id), Kyc(tx)
    if found is None:
        return Reply(UNKNOWN, status=409)
    try:
        key = await api.vault.key_of(found)
    except ErasedError:
        return Reply(ERASED, status=GONE)
    known, sealed = await store.found(user_id), await store.sealed(user_id)
    documents = await store.documents(user_id)
    stated = opened_json(key, sealed, f"kyc_profile/{user_id}") if sealed else None
    screened = [
        opened_json(key, one.sealed, f"kyc_profile/{user_id}")
        for one in await profiles_of(tx, [user_id])
    ]
    zones = {
        one.id: opened_json(key, one.sealed, f"kyc_document/{one.id}")["zone"]
        for one in documents
        if one.sealed
    }
    body = {
        "subject": user_id,
        "since": found.created_at,
        "stated": stated,
        "screenedAs": next((payer_name(one) for one in screened), None),
        "identityChecks": known and status_shown(known, documents, api.clock.now()),
        "checks": await store.checks(user_id),
        "documents": [
            document_shown(one) | {"zone": zones.get(one.id), "round": one.round}
            for one in documents
        ],
    }
    return Reply(body, events=[acting.record("SUBJECT_EXPORTED", cause)])


async def _refusal(tx: PostgresTransaction, user_id: str) -> Reply | None:
    """Return why a subject cannot be changed, and lock it; not 404, which an old version is."""
    found = await Subjects(tx).locked(user_id)
    if found is None:
        return Reply(UNKNOWN, status=409)
    if found.is_erased:
        return Reply(ERASED, status=409)
    return None


def _under_hold(found: Subject | None) -> Reply | None:
    """Return why a subject cannot be erased."""
    if found is None or found.held_at is None:
        return None
    details = f"held since {found.held_at.isoformat()}: release it first"
    return Reply({"error": "Under a hold", "details": details}, status=409)


async def _after(tx: PostgresTransaction, user_id: str, *events: Emit) -> Reply:
    found = await Subjects(tx).locked(user_id)
    assert found is not None  # noqa: S101 - locked by this transaction before
    return Reply(_shown(found), events=list(events))


def _shown(found: Subject) -> dict[str, Any]:
    return {
        "subject": found.user_id,
        "since": found.created_at,
        "held_at": found.held_at,
        "held_by": found.held_by,
        "hold_reason": found.hold_reason,
        "erased_at": found.erased_at,
        "destroyed_at": found.destroyed_at,
    }
