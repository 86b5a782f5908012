"""Operator routes of notification: deliveries, checks and contacts."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from notification.domain import Contact, can_receive_code
from notification.store import TABLE, PostgresDeliveries, queries
from payment_schemas.ids import NewUserId, Printable, UserId
from payment_schemas.sealed import Personal
from service_runtime.admin import add_check, add_export, admin_router
from service_runtime.postgres import PostgresDatabase
from service_runtime.web import Credentials, JsonResponse

MAX_CONTACTS = 1000


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


def routes(database: PostgresDatabase, credentials: Credentials) -> APIRouter:
    """Return the routes under `/admin`: `ops.read` to read, `ops.write` to write.

    Otp queries with `contacts.query` whether users can receive a code.
    """
    router = admin_router(credentials)

    @router.get("/deliveries")
    async def deliveries(payment_id: UUID) -> Response:
        async with database.transaction() as tx:
            return JsonResponse({"deliveries": await queries.of_payment(tx, payment_id)})

    add_export(router, database, "deliveries", queries.export)
    add_check(router, database, queries.check, TABLE)
    both = APIRouter()
    both.include_router(router)
    both.include_router(_contacts(database, credentials))
    return both


def _contacts(database: PostgresDatabase, credentials: Credentials) -> APIRouter:
    router = APIRouter(prefix="/admin")

    @router.post("/contacts", dependencies=[Depends(credentials.require("ops.write"))])
    async def put_contacts(body: ContactsBody) -> Response:
        contacts = [
            Contact(one.user_id, Personal(one.phone), Personal(one.email)) for one in body.contacts
        ]
        async with database.transaction() as tx:
            await PostgresDeliveries(tx).put_contacts(contacts)
        return JsonResponse({"contacts": len({contact.user_id for contact in contacts})})

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
