"""Uploads of documents: drawn anew, sealed under the person's key, kept in the object store."""

from dataclasses import replace
from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response
from pydantic import BaseModel
from starlette.requests import ClientDisconnect

from compliance.clients.pages import MOST_BYTES, PageError, Pages, media_type_of, redrawn
from compliance.domain.kyc import DocumentType, Profile, Refusal, may_add_document
from compliance.routes.kyc import Reading, document_shown
from compliance.routes.kyc_api import KycApi, refused
from compliance.store.kyc import Document, Kyc
from compliance.store.subjects import Subjects
from compliance.store.vault import opened_json
from payment_schemas import answers
from payment_schemas.answers import RefusedError
from payment_schemas.events.record import AuditRecorded
from service_runtime.callers import Caller
from service_runtime.errors import Unavailable
from service_runtime.http_unit import Reply
from service_runtime.messages import Cause, Emit
from service_runtime.postgres import PostgresTransaction
from service_runtime.subject_keys import ErasedError

MOST_DOCUMENTS = 10
"""Of one round."""
SERVICE = "compliance"


class ShownDocument(BaseModel):
    """A document, without what it shows."""

    documentId: str  # noqa: N815 - as the other routes
    type: DocumentType
    mediaType: str  # noqa: N815 - as the other routes
    size: int
    expiresOn: str | None  # noqa: N815 - as the other routes
    zoneRead: bool  # noqa: N815 - as the other routes
    uploadedAt: str | None  # noqa: N815 - as the other routes


def add_uploads(router: APIRouter, api: KycApi) -> None:
    """Add the upload."""
    writer = api.writer()

    @router.post("/upload-document", status_code=201, response_model=ShownDocument)
    async def upload(
        request: Request,
        kind: Annotated[DocumentType, Query(alias="type")],
        caller: Caller = writer,
    ) -> Response:
        """Add a document to the round: the body is a JPEG, a PNG or a PDF of at most 10 MB."""
        pages = await _pages(request, api)
        document = Document(
            id=api.clock.new_id(),
            user_id=caller.user_id,
            round=0,
            type=kind,
            media_type=pages.media_type,
            size_bytes=len(pages.content),
            uploaded_at=api.clock.now(),
        )

        async def act(tx: PostgresTransaction, cause: Cause) -> Reply:
            return await _add(tx, cause, api, document, pages)

        return await api.run(request, caller.user_id, act)


async def _pages(request: Request, api: KycApi) -> Pages:
    """Return an upload, drawn anew in a process of its own; raise RefusedError."""
    if api.pages is None:
        raise Unavailable("uploads: not taken by this instance")
    request.state.body.allow(MOST_BYTES)
    try:
        content = await request.body()
        media_type_of(content)
        return await api.pages.run(redrawn, content)
    except PageError as error:
        why = str(error)
    except TimeoutError:
        why = "takes too long to read"
    except ClientDisconnect:
        why = "is incomplete"
    raise RefusedError(answers.invalid_field("document", why))


async def _add(
    tx: PostgresTransaction, cause: Cause, api: KycApi, draft: Document, pages: Pages
) -> Reply:
    """Add a document; its object is written first, sealed: one without a row reveals nothing."""
    store = Kyc(tx)
    known = (await store.locked([draft.user_id])).get(draft.user_id)
    if refusal := may_add_document(known):
        return refused(refusal)
    assert known is not None  # noqa: S101 - refused above
    if len(await store.documents(draft.user_id, known.round)) >= MOST_DOCUMENTS:
        return refused(Refusal.ENDED, f"a round has at most {MOST_DOCUMENTS} documents")
    document = await _stored(tx, api, known, draft, pages)
    event = AuditRecorded(
        actor=SERVICE,
        action="KYC_DOCUMENT_ADDED",
        about=document.user_id,
        metadata={"document": str(document.id), "type": document.type},
    )
    return Reply(document_shown(document), status=201, events=[Emit(event, cause)])


async def _stored(
    tx: PostgresTransaction, api: KycApi, known: Profile, draft: Document, pages: Pages
) -> Document:
    store, user_id = Kyc(tx), draft.user_id
    key = await api.vault.key_of(await Subjects(tx).found(user_id))
    sealed = await store.sealed(user_id)
    if sealed is None:
        raise ErasedError
    document = replace(draft, round=known.round)
    if pages.zone is not None:
        stated = opened_json(key, sealed, f"kyc_profile/{user_id}")
        read = Reading(api, key, stated, api.clock.now().date())
        document = read.document(document, pages.zone)
    await api.vault.put_document(key, document.id, pages.content)
    await store.add_document(document)
    if document.sealed is not None:
        await store.add_zone(document)
    return document
