"""Operator routes of notification: deliveries, checks and contacts."""

from collections.abc import Iterable
from dataclasses import replace
from functools import partial
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from notification.domain import Contact, can_receive_code, contact_notices
from notification.store import (
    TABLE,
    NewDelivery,
    PostgresContacts,
    PostgresDeliveries,
    SealedContact,
    queries,
)
from payment_schemas.events.record import AuditRecorded
from payment_schemas.ids import NewUserId, Printable, UserId
from payment_schemas.sealed import Personal
from service_runtime.admin import add_check, add_export, admin_router, check_router, together
from service_runtime.credentials import Credentials
from service_runtime.http_unit import HttpUnitOfWork, Reply
from service_runtime.messages import Cause, Emit
from service_runtime.operators import Operators
from service_runtime.postgres import PostgresDatabase, PostgresTransaction
from service_runtime.proposals import Draft, Proposal, propose
from service_runtime.subject_keys import KeyLostError
from service_runtime.subjects import Vault
from service_runtime.web import JsonResponse

MAX_CONTACTS = 1000
CHANGE = "CONTACTS_CHANGE"
"""The act that needs two people; the trigger of the table names it, too."""
OLDER = {"error": "Not approved", "details": "proposed by an older version: propose it again"}


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
    vault: Vault,
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
    return together(router, checks, _contacts(database, requests, credentials, operators, vault))


async def _put(
    body: ContactsBody, actor: str, vault: Vault, tx: PostgresTransaction, cause: Cause
) -> Reply:
    """Add first contacts at once; propose the changes of others."""
    given = {one.user_id: one for one in body.contacts}
    store = PostgresContacts(tx, vault)
    known = await store.found(given)
    if unreadable := _unreadable(known.values()):
        return unreadable
    new = [one for name, one in given.items() if name not in known]
    changed = [
        one for name, one in given.items() if name in known and _differs(_contact(one), known[name])
    ]
    await store.put(await store.sealed(map(_contact, new)))
    event = AuditRecorded(actor=actor, action="CONTACTS_ADDED", metadata={"count": str(len(new))})
    added = Reply({"contacts": len(given)}, events=[Emit(event, cause)] if new else [])
    if not changed:
        return added
    about = f"{len(changed)} contacts, {changed[0].user_id} first"
    # What is proposed is sealed here, and written as it is when it is approved.
    content = {"contacts": [one.as_row() for one in await store.sealed(map(_contact, changed))]}
    proposed = await propose(tx, cause, Draft(CHANGE, about, content), actor)
    return replace(
        proposed, body=added.body | proposed.body, events=[*added.events, *proposed.events]
    )


async def change_approved(
    tx: PostgresTransaction, proposal: Proposal, _approver: str, cause: Cause, vault: Vault
) -> Reply:
    """Change the contacts of an approved proposal, and notify the former addresses."""
    store, proposed = PostgresContacts(tx, vault), _proposed(proposal)
    if not proposed:
        return Reply(OLDER, status=409)
    users = [one.user_id for one in proposed]
    wanted, known = await store.opened(proposed), await store.found(users)
    if unreadable := _unreadable([*wanted.values(), *known.values()]):
        return unreadable
    former = [one for name, one in known.items() if _differs(wanted[name], one)]
    await store.seal_older(len(users), users)
    await store.put(proposed)
    notices = [one for each in former for one in contact_notices(each, cause.id, vault.clock.now())]
    await PostgresDeliveries(tx, vault).add([NewDelivery(one, cause.trace) for one in notices])
    return Reply({"contacts": len(proposed)})


async def change_shown(tx: PostgresTransaction, proposal: Proposal, vault: Vault) -> object:
    """Return the contacts of a proposal as the person who approves reads them."""
    found = await PostgresContacts(tx, vault).opened(_proposed(proposal))
    return {"contacts": [_shown(one) for one in found.values()]}


def _proposed(proposal: Proposal) -> list[SealedContact]:
    """Return the contacts of a proposal; none where an older version has proposed it."""
    contacts = proposal.body.get("contacts", ())
    return [SealedContact.of_row(one) for one in contacts if "sealed" in one]


def _shown(contact: Contact) -> dict[str, str]:
    if contact.trouble:
        return {"user_id": contact.user_id, "trouble": contact.trouble}
    phone, email = contact.phone.reveal(), contact.email.reveal()
    return {"user_id": contact.user_id, "phone": phone, "email": email}


def _unreadable(contacts: Iterable[Contact]) -> Reply | None:
    """Return why contacts cannot be changed."""
    for one in contacts:
        if one.trouble == "erased":
            details = f"{one.user_id} was erased: a new contact needs another user"
            return Reply({"error": "Erased", "details": details}, status=409)
        if one.trouble:
            raise KeyLostError(f"contact of {one.user_id}: its key is missing")
    return None


def _contact(body: ContactBody) -> Contact:
    return Contact(body.user_id, Personal(body.phone), Personal(body.email))


def _differs(one: Contact, other: Contact) -> bool:
    return (one.phone, one.email) != (other.phone, other.email)


def _contacts(
    database: PostgresDatabase,
    requests: HttpUnitOfWork,
    credentials: Credentials,
    operators: Operators,
    vault: Vault,
) -> APIRouter:
    router = APIRouter(prefix="/admin")

    may_write = operators.require("contacts.write")

    @router.post("/contacts")
    async def put_contacts(
        body: ContactsBody, request: Request, actor: Annotated[str, Depends(may_write)]
    ) -> Response:
        return await requests.run(request, actor, partial(_put, body, actor, vault))

    @router.post("/contacts:query", dependencies=[Depends(credentials.require("contacts.query"))])
    async def can_receive(body: UsersBody) -> Response:
        """Return whether each user can receive a code, without the contact."""
        async with database.transaction() as tx:
            found = await PostgresContacts(tx, vault).found(body.user_ids)
        results = [
            {"user_id": name, "can_receive_code": can_receive_code(found.get(name))}
            for name in body.user_ids
        ]
        return JsonResponse({"results": results})

    return router
