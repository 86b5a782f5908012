"""Operator routes of the partner banks on Kafka: add, show, suspend, resume, new keys, replay."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import Annotated, Any, Protocol
from uuid import UUID

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from payment_schemas.events.record import AuditRecorded
from service_runtime.admin import admin_router, together
from service_runtime.clock import Clock
from service_runtime.http_unit import HttpUnitOfWork, Reply
from service_runtime.messages import Cause, Emit, ProducerRecord
from service_runtime.operators import Operators
from service_runtime.ports import Database
from service_runtime.web import JsonResponse
from settlement.domain.partners import KafkaPartner, prefix_of_another, resumed, suspended
from settlement.routes.partner_bodies import NewKeys, NewPartner, ReplayRequest
from settlement.store import PostgresPartners

MOST_PARTNERS = 200
"""Every transaction that routes instructions reads all profiles."""


@dataclass(frozen=True, slots=True)
class Change:
    """A change of a profile; `decide` returns the new profile, or why it cannot change."""

    partner: str
    action: str
    """Of the audit row."""
    decide: Callable[[KafkaPartner], KafkaPartner | str]


class Replays(Protocol):
    """Publishes instructions again."""

    async def one(self, tx: Any, profile: KafkaPartner, uetr: UUID) -> ProducerRecord | str:
        """Return the record of an instruction, or why it is not published again."""
        ...

    async def begin(self, tx: Any, partner: str, actor: str, since: datetime) -> str | None:
        """Begin to publish what was published since then; return why it cannot begin, if so."""
        ...


@dataclass(frozen=True, slots=True)
class PartnerChanges:
    """Changes profiles; a change and its audit record are one transaction."""

    requests: HttpUnitOfWork
    clock: Clock
    replays: Replays

    async def add(self, profile: KafkaPartner, request: Request, actor: str) -> Response:
        """Add a profile; 409 where it cannot be added."""

        async def act(tx: Any, cause: Cause) -> Reply:
            partners = PostgresPartners(tx)
            if refused := refusal_of(profile, await partners.lock()):
                return Reply(refused, 409)
            await partners.add(profile)
            return _reply(profile, "PARTNER_ADDED", actor, cause, status=201)

        return await self.requests.run(request, actor, act)

    async def change(self, change: Change, request: Request, actor: str) -> Response:
        """Change a profile; 409 where it is unknown or cannot change."""

        async def act(tx: Any, cause: Cause) -> Reply:
            partners = PostgresPartners(tx)
            before = (await partners.lock()).get(change.partner)
            if before is None:
                return Reply(_unknown(change.partner), 409)
            after = change.decide(before)
            if isinstance(after, str):
                return _conflict(after)
            changed = replace(after, version=before.version + 1)
            await partners.save(changed)
            return _reply(changed, change.action, actor, cause)

        return await self.requests.run(request, actor, act)

    async def replay(
        self, partner: str, wanted: ReplayRequest, request: Request, actor: str
    ) -> Response:
        """Publish instructions again: one at once, or begin with those since a time."""

        async def act(tx: Any, cause: Cause) -> Reply:
            profile = (await PostgresPartners(tx).hold([partner])).get(partner)
            if profile is None:
                return Reply(_unknown(partner), 409)
            if profile.is_suspended:
                return _conflict("the partner is suspended: resume it first")
            return await self._replay(tx, profile, wanted, Requested(actor, cause))

        return await self.requests.run(request, actor, act)

    async def _replay(
        self, tx: Any, profile: KafkaPartner, wanted: ReplayRequest, requested: "Requested"
    ) -> Reply:
        about, records = {"partner": profile.partner}, list[ProducerRecord]()
        if wanted.uetr is not None:
            record = await self.replays.one(tx, profile, wanted.uetr)
            if isinstance(record, str):
                return _conflict(record)
            records, metadata = [record], {"uetr": str(wanted.uetr)}
        else:
            since = wanted.since or self.clock.now()
            refused = await self.replays.begin(tx, profile.partner, requested.actor, since)
            if refused is not None:
                return _conflict(refused)
            metadata = {"since": since.isoformat()}
        event = AuditRecorded(
            actor=requested.actor,
            action="PARTNER_REPLAY_REQUESTED",
            about=profile.partner,
            metadata=metadata,
        )
        return Reply(about | metadata, 202, [Emit(event, requested.cause)], records)


@dataclass(frozen=True, slots=True)
class Requested:
    """Who requested it, and the cause of its events."""

    actor: str
    cause: Cause


def partner_routes(database: Database, changes: PartnerChanges, operators: Operators) -> APIRouter:
    """Return the routes: to read with `ops.read`, to change with `partners.write`."""
    return together(_reads(database, operators), _writes(changes, operators))


def _reads(database: Database, operators: Operators) -> APIRouter:
    router = admin_router(operators)

    @router.get("/partners")
    async def listed() -> Response:
        async with database.transaction() as tx:
            found = await PostgresPartners(tx).profiles()
        return JsonResponse({"partners": [shown(profile) for profile in found.values()]})

    @router.get("/partners/{partner}")
    async def one(partner: str) -> Response:
        async with database.transaction() as tx:
            found = (await PostgresPartners(tx).profiles()).get(partner)
        if found is None:
            return JsonResponse(_unknown(partner), 409)
        return JsonResponse(shown(found))

    return router


def _writes(changes: PartnerChanges, operators: Operators) -> APIRouter:
    router, may_write = APIRouter(prefix="/admin/partners"), operators.require("partners.write")

    @router.post("")
    async def add(
        wanted: NewPartner, request: Request, actor: Annotated[str, Depends(may_write)]
    ) -> Response:
        if wanted.enquire_after_s < wanted.answer_within_s:
            details = "must be at least answer_within_s"
            return JsonResponse(_fault("enquire_after_s", details), 400)
        return await changes.add(wanted.profile(), request, actor)

    @router.post("/{partner}/suspend")
    async def suspend(
        partner: str, request: Request, actor: Annotated[str, Depends(may_write)]
    ) -> Response:
        change = Change(partner, "PARTNER_SUSPENDED", partial(suspended, now=changes.clock.now()))
        return await changes.change(change, request, actor)

    @router.post("/{partner}/resume")
    async def resume(
        partner: str, request: Request, actor: Annotated[str, Depends(may_write)]
    ) -> Response:
        return await changes.change(Change(partner, "PARTNER_RESUMED", resumed), request, actor)

    @router.post("/{partner}/keys")
    async def keys(
        partner: str, wanted: NewKeys, request: Request, actor: Annotated[str, Depends(may_write)]
    ) -> Response:
        decide = partial(replace, keys=wanted.keys)
        change = Change(partner, "PARTNER_KEYS_REPLACED", decide)
        return await changes.change(change, request, actor)

    @router.post("/{partner}/replay")
    async def replay(
        partner: str,
        wanted: ReplayRequest,
        request: Request,
        actor: Annotated[str, Depends(may_write)],
    ) -> Response:
        if (wanted.since is None) is (wanted.uetr is None):
            return JsonResponse(_fault("since", "exactly one of since and uetr is required"), 400)
        return await changes.replay(partner, wanted, request, actor)

    return router


def refusal_of(profile: KafkaPartner, known: dict[str, KafkaPartner]) -> dict[str, str] | None:
    """Return why a profile cannot be added, or None."""
    if profile.partner in known:
        return _fault("partner", "exists already")
    if len(known) >= MOST_PARTNERS:
        return _fault("partner", f"there are {MOST_PARTNERS} partners, the maximum")
    taken = prefix_of_another(profile, known.values())
    return _fault("account_prefixes", f"another partner has {taken}") if taken else None


def shown(profile: KafkaPartner) -> dict[str, Any]:
    """Return a profile as operators see it."""
    return {
        "partner": profile.partner,
        "format": profile.format,
        "partitions": profile.partitions,
        "account_prefixes": profile.account_prefixes,
        "answer_within_s": profile.answer_within_s,
        "enquire_after_s": profile.enquire_after_s,
        "keys": profile.keys,
        "suspended_at": profile.suspended_at,
        "version": profile.version,
        "instructions_topic": profile.instructions_topic,
        "reports_topic": profile.reports_topic,
    }


def _reply(
    profile: KafkaPartner, action: str, actor: str, cause: Cause, status: int = 200
) -> Reply:
    kids = ",".join(key["kid"] for key in profile.keys["keys"])
    metadata = {"format": profile.format, "keys": kids, "version": str(profile.version)}
    event = AuditRecorded(actor=actor, action=action, about=profile.partner, metadata=metadata)
    return Reply(shown(profile), status, events=[Emit(event, cause)])


def _fault(field: str, details: str) -> dict[str, str]:
    return {"error": f"Invalid field: {field}", "details": details}


def _conflict(details: str) -> Reply:
    return Reply({"error": "Conflict", "details": details}, 409)


def _unknown(partner: str) -> dict[str, str]:
    # Not 404: an older version without this route answers 404.
    return {"error": f"Unknown partner: {partner}"}
