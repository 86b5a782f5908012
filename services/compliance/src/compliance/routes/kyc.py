"""Identity checks of a person: initiated, documented, verified."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from typing import Any

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import Response

from compliance.clients.onfido import SIGNATURE, BadWebhookError
from compliance.domain.kyc import Profile, Refusal, initiate, missing, verify
from compliance.domain.mrz import MrzError, zone_of
from compliance.routes.kyc_api import (
    ERASED,
    GONE,
    InitiateBody,
    KycApi,
    ShownStatus,
    VerifyBody,
    check_agreement,
    own,
    refused,
    status_shown,
)
from compliance.store.kyc import Check, Document, Kyc
from compliance.store.kyc_changes import announced, number_hashes
from compliance.store.subjects import Subjects
from compliance.store.vault import opened_json, sealed_json
from payment_schemas import answers
from payment_schemas.answers import RefusedError
from service_runtime.callers import Caller
from service_runtime.http_unit import Reply
from service_runtime.messages import Cause
from service_runtime.postgres import PostgresTransaction
from service_runtime.subject_keys import ErasedError, SubjectKey
from service_runtime.web import JsonResponse


def add_kyc(router: APIRouter, api: KycApi) -> None:
    """Add the routes of the person, without the upload."""
    writer, reader = api.writer(), api.reader()

    @router.post("/initiate", status_code=201, response_model=ShownStatus)
    async def begin(request: Request, body: InitiateBody, caller: Caller = writer) -> Response:
        """Begin a round: the first one, a renewal, or another level. May be stated again."""

        async def act(tx: PostgresTransaction, cause: Cause) -> Reply:
            return await _initiate(tx, cause, api, caller.user_id, body)

        return await api.run(request, caller.user_id, act)

    @router.post("/verify", status_code=202, response_model=ShownStatus)
    async def start(request: Request, body: VerifyBody, caller: Caller = writer) -> Response:
        """Send the documents of the round to the provider."""

        async def act(tx: PostgresTransaction, cause: Cause) -> Reply:
            return await _verify(tx, cause, api, caller.user_id, body.zones)

        return await api.run(request, caller.user_id, act)

    @router.get("/{user_id}/status", response_model=ShownStatus)
    async def status(user_id: str, caller: Caller = reader) -> Response:
        """Return the state of the caller's own identity checks."""
        own(user_id, caller.user_id)
        async with api.database.transaction() as tx:
            known, documents = await _known(tx, user_id)
        return JsonResponse(status_shown(known, documents, api.clock.now()))

    @router.get("/{user_id}/profile")
    async def profile(user_id: str, caller: Caller = reader) -> Response:
        """Return what the caller has stated, and the documents, without their content."""
        own(user_id, caller.user_id)
        try:
            async with api.database.transaction() as tx:
                found = await profile_shown(tx, api, user_id)
        except ErasedError:
            return JsonResponse(ERASED, GONE)
        return JsonResponse(found, headers={"Cache-Control": "no-store"})


def add_provider_webhooks(router: APIRouter, api: KycApi) -> None:
    """Add the provider's webhook; the signature is its authentication."""

    @router.post("/provider", include_in_schema=False)
    async def webhook(request: Request) -> Response:
        """Ask the provider about a check now: late, lost and repeated webhooks decide nothing."""
        try:
            body, signature = await request.body(), request.headers.get(SIGNATURE, "")
            check_id = api.webhooks.check_id_of(body, signature)
        except BadWebhookError:
            raise HTTPException(401, "Invalid signature") from None

        async def act(tx: PostgresTransaction, _cause: Cause) -> Reply:
            if check_id is not None:
                await Kyc(tx).wake(check_id, api.clock.now())
            return Reply({"received": True})

        return await api.run(request, "provider:kyc", act)


async def profile_shown(tx: PostgresTransaction, api: KycApi, user_id: str) -> dict[str, Any]:
    """Return a profile with what the person has stated; raise ErasedError."""
    known, documents = await _known(tx, user_id)
    sealed = await Kyc(tx).sealed(user_id)
    if sealed is None:
        raise ErasedError
    key = await api.vault.key_of(await Subjects(tx).found(user_id))
    stated = opened_json(key, sealed, f"kyc_profile/{user_id}")
    shown = status_shown(known, documents, api.clock.now())
    del shown["missing"]
    return shown | {
        "profileId": user_id,
        "identity": {name: stated[name] for name in stated if name != "address"},
        "address": stated["address"],
        "documents": [document_shown(one) for one in documents],
    }


def document_shown(one: Document) -> dict[str, Any]:
    """Return a document, without what it shows."""
    return {
        "documentId": one.id,
        "type": one.type,
        "mediaType": one.media_type,
        "size": one.size_bytes,
        "expiresOn": one.expires_on,
        "zoneRead": one.sealed is not None,
        "uploadedAt": one.uploaded_at,
    }


async def _known(tx: PostgresTransaction, user_id: str) -> tuple[Profile, list[Document]]:
    known = await Kyc(tx).found(user_id)
    if known is None:
        raise HTTPException(404, "Not found")
    return known, await Kyc(tx).documents(user_id, known.round)


async def _initiate(
    tx: PostgresTransaction, cause: Cause, api: KycApi, user_id: str, body: InitiateBody
) -> Reply:
    now, store = api.clock.now(), Kyc(tx)
    if body.date_of_birth >= now.date():
        raise RefusedError(answers.invalid_field("dateOfBirth", "must be in the past"))
    key = await api.vault.key_for(tx, user_id)
    known = initiate((await store.locked([user_id])).get(user_id), user_id, body.level)
    if isinstance(known, Refusal):
        return refused(known)
    sealed = sealed_json(key, body.stated(), f"kyc_profile/{user_id}")
    events = await announced(known, store, cause, now, sealed)
    documents = await store.documents(user_id, known.round)
    return Reply(status_shown(known, documents, now), status=201, events=events)


async def _verify(
    tx: PostgresTransaction, cause: Cause, api: KycApi, user_id: str, zones: Mapping[str, str]
) -> Reply:
    now, store = api.clock.now(), Kyc(tx)
    before = (await store.locked([user_id])).get(user_id)
    documents = await store.documents(user_id, before.round) if before else []
    known = verify(before, [one.type for one in documents])
    if known is Refusal.DOCUMENTS_MISSING and before is not None:
        return refused(known, {"missing": missing(before.level, [d.type for d in documents])})
    if isinstance(known, Refusal):
        return refused(known)
    key = await api.vault.key_of(await Subjects(tx).found(user_id))
    sealed = await store.sealed(user_id)
    if sealed is None:
        raise ErasedError
    stated = opened_json(key, sealed, f"kyc_profile/{user_id}")
    read = Reading(api, key, stated, now.date())
    for one in _with_zones(documents, zones, read):
        await store.add_zone(one)
    check = Check(id=api.clock.new_id(), user_id=user_id, round=known.round, created_at=now)
    await store.add_check(check, cause.trace)
    events = await announced(known, store, cause, now)
    return Reply(status_shown(known, documents, now), status=202, events=events)


def _with_zones(
    documents: list[Document], zones: Mapping[str, str], read: "Reading"
) -> list[Document]:
    """Return documents with the zones that were given; all of the round's are judged."""
    by_id = {str(one.id): one for one in documents}
    for name in zones:
        if name not in by_id:
            raise RefusedError(answers.invalid_field("zones", "names an unknown document"))
    for one in documents:
        if one.sealed is not None and str(one.id) not in zones:
            read.judged(opened_json(read.key, one.sealed, f"kyc_document/{one.id}")["zone"])
    return [read.document(by_id[name], text) for name, text in zones.items()]


class Reading:
    """Reads machine-readable zones of one person."""

    def __init__(
        self, api: KycApi, key: SubjectKey, stated: Mapping[str, Any], today: date
    ) -> None:
        self._api = api
        self.key = key
        self._stated = stated
        self._today = today

    def judged(self, text: str) -> Any:
        """Return a zone; raise RefusedError where it is wrong or does not agree."""
        try:
            zone = zone_of(text, self._today)
        except MrzError as error:
            raise RefusedError(answers.invalid_field("zones", str(error))) from None
        check_agreement(zone, self._stated, "zones", self._today)
        return zone

    def document(self, one: Document, text: str) -> Document:
        """Return a document with its zone, sealed, and its number as a look-up value."""
        zone = self.judged(text)
        numbers = number_hashes(self._api.lookup_keys, zone.issuer, zone.number)
        sealed = sealed_json(self.key, {"zone": text}, f"kyc_document/{one.id}")
        return replace(one, numbers=numbers, expires_on=zone.expiry, sealed=sealed)
