"""What operators may ask notification, and the contacts that they keep."""

from collections.abc import Callable
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from notification.domain import Contact, can_receive_code
from notification.store import Deliveries
from payment_schemas.ids import NewUserId, Printable, UserId
from payment_schemas.sealed import Personal
from service_runtime.paging import BY_PAYMENT, Page
from service_runtime.ports import Database
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
    """Users who are asked about."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    user_ids: Annotated[list[UserId], Field(max_length=MAX_CONTACTS)]


def routes(
    database: Database, store: Callable[[Any], Deliveries], credentials: Credentials
) -> APIRouter:
    """Return the routes under `/admin`: to read with `ops.read`, to write with `ops.write`.

    Otp asks with `contacts.query` who can receive a code.
    """
    router = APIRouter(prefix="/admin")
    may_read: Callable[[Request], str] = credentials.require("ops.read")
    may_write: Callable[[Request], str] = credentials.require("ops.write")
    may_query: Callable[[Request], str] = credentials.require("contacts.query")

    @router.get("/deliveries", dependencies=[Depends(may_read)])
    async def deliveries(payment_id: UUID) -> Response:
        async with database.transaction() as tx:
            return JsonResponse({"deliveries": await store(tx).of_payment(payment_id)})

    @router.get("/deliveries/export", dependencies=[Depends(may_read)])
    async def export(page: Annotated[Page, Depends(BY_PAYMENT)]) -> Response:
        async with database.transaction() as tx:
            found = await store(tx).export(page.after[0], page.limit)
        return JsonResponse(page.reply("deliveries", found))

    @router.post("/contacts", dependencies=[Depends(may_write)])
    async def put_contacts(body: ContactsBody) -> Response:
        contacts = [
            Contact(one.user_id, Personal(one.phone), Personal(one.email)) for one in body.contacts
        ]
        async with database.transaction() as tx:
            await store(tx).put_contacts(contacts)
        return JsonResponse({"contacts": len({contact.user_id for contact in contacts})})

    @router.post("/contacts:query", dependencies=[Depends(may_query)])
    async def can_receive(body: UsersBody) -> Response:
        """Say who can receive a code; where, stays here."""
        async with database.transaction() as tx:
            found = await store(tx).contacts(body.user_ids)
        results = [
            {"user_id": name, "can_receive_code": can_receive_code(found.get(name))}
            for name in body.user_ids
        ]
        return JsonResponse({"results": results})

    @router.get("/check", dependencies=[Depends(may_read)])
    async def check() -> Response:
        async with database.transaction() as tx:
            return JsonResponse(await store(tx).health())

    return router
