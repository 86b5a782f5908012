"""Operator routes of notification: deliveries, checks and contacts."""

from dataclasses import replace
from functools import partial
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from notification.domain import Contact, can_receive_code, contact_notices
from notification.store import TABLE, NewDelivery, PostgresDeliveries, queries
from payment_schemas.events.record import AuditRecorded
from payment_schemas.ids import NewUserId, Printable, UserId
from payment_schemas.sealed import Personal
from service_runtime.admin import add_check, add_export, admin_router, check_router, together
from service_runtime.clock import Clock
from service_runtime.credentials import Credentials
from service_runtime.http_unit import HttpUnitOfWork, Reply
from service_runtime.messages import Cause, Emit
from service_runtime.operators import Operators
from service_runtime.postgres import PostgresDatabase, PostgresTransaction
from service_runtime.proposals import Draft, Proposal, propose
from service_runtime.web import JsonResponse

MAX_CONTACTS = 1000
CHANGE = "CONTACTS_CHANGE"
"""The act that needs two people; the trigger of the table names it, too."""


class ContactBody(BaseModel):
    """One customer's contact."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    user_id: NewUserId
    phone: Annotated[str, StringConstraints(pattern=r"^\+[1-9][0-9]{6,14}$")]
    """E.164."""
    email: Annotated[Printable, StringConstraints(pattern=r"^[^@\s]+@[^@\s]+$", max_length=254)]


class ContactsBody(BaseModel):
    """Contacts to add or replace."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    contacts: Annotated[list[ContactBody], Field(min_length=1, max_length=MAX_CONTACTS)]


class UsersBody(BaseModel):
    """The queried users."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    user_ids: Annotated[list[UserId], Field(max_length=MAX_CONTACTS)]


def routes(
    database: PostgresDatabase,
    requests: HttpUnitOfWork,
    credentials: Credentials,
    operators: Operators,
) -> APIRouter:
    """Return the routes under `/admin`.

    Otp queries with `contacts.query`, by its secret, whether users can receive a code.
    """
    router, checks = admin_router(operators), check_router(operators)

    @router.get("/deliveries")
    async def deliveries(payment_id: UUID) -> Response:
        async with database.transaction() as tx:
            return JsonResponse({"deliveries": await queries.of_payment(tx, payment_id)})

    add_export(checks, database, "deliveries", queries.export)
    add_check(checks, database, queries.check, TABLE)
    return together(router, checks, _contacts(database, requests, credentials, operators))


async def _put(body: ContactsBody, actor: str, tx: PostgresTransaction, cause: Cause) -> Reply:
    """Add first contacts at once; propose the changes of others."""
    given = {one.user_id: one for one in body.contacts}
    known = await PostgresDeliveries(tx).contacts(given)
    new = [one for name, one in given.items() if name not in known]
    changed = [one for name, one in given.items() if name in known and _differs(one, known[name])]
    await PostgresDeliveries(tx).put_contacts([_contact(one) for one in new])
    event = AuditRecorded(actor=actor, action="CONTACTS_ADDED", metadata={"count": str(len(new))})
    added = Reply({"contacts": len(given)}, events=[Emit(event, cause)] if new else [])
    if not changed:
        return added
    about = f"{len(changed)} contacts, {changed[0].user_id} first"
    content = {"contacts": [one.model_dump() for one in changed]}
    proposed = await propose(tx, cause, Draft(CHANGE, about, content), actor)
    return replace(
        proposed, body=added.body | proposed.body, events=[*added.events, *proposed.events]
    )


async def change_approved(
    tx: PostgresTransaction, proposal: Proposal, _approver: str, cause: Cause, clock: Clock
) -> Reply:
    """Change the contacts of an approved proposal, and notify the former addresses."""
    deliveries = PostgresDeliveries(tx)
    bodies = [ContactBody(**one) for one in proposal.body["contacts"]]
    known = await deliveries.contacts(one.user_id for one in bodies)
    former = [
        known[one.user_id]
        for one in bodies
        if one.user_id in known and _differs(one, known[one.user_id])
    ]
    await deliveries.put_contacts(map(_contact, bodies))
    notices = [one for each in former for one in contact_notices(each, cause.id, clock.now())]
    await deliveries.add([NewDelivery(one, cause.trace) for one in notices])
    return Reply({"contacts": len(bodies)})


def _contact(body: ContactBody) -> Contact:
    return Contact(body.user_id, Personal(body.phone), Personal(body.email))


def _differs(body: ContactBody, known: Contact) -> bool:
    return (body.phone, body.email) != (known.phone.reveal(), known.email.reveal())


def _contacts(
    database: PostgresDatabase,
    requests: HttpUnitOfWork,
    credentials: Credentials,
    operators: Operators,
) -> APIRouter:
    router = APIRouter(prefix="/admin")

    may_write = operators.require("contacts.write")

    @router.post("/contacts")
    async def put_contacts(
        body: ContactsBody, request: Request, actor: Annotated[str, Depends(may_write)]
    ) -> Response:
        return await requests.run(request, actor, partial(_put, body, actor))

    @router.post("/contacts:query", dependencies=[Depends(credentials.require("contacts.query"))])
    async def can_receive(body: UsersBody) -> Response:
        """Return whether each user can receive a code, without the contact."""
        async with database.transaction() as tx:
            found = await PostgresDeliveries(tx).contacts(body.user_ids)
        results = [
            {"user_id": name, "can_receive_code": can_receive_code(found.get(name))}
            for name in body.user_ids
        ]
        return JsonResponse({"results": results})

    return router
