"""Create, read, rename, list and delete items."""

from collections.abc import Awaitable, Callable
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, HTTPException, Request
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field

from sample.domain import Item, changed, renamed
from sample.store import Items
from service_runtime.http_unit import HttpUnitOfWork, Reply, StaleVersionError, version_of
from service_runtime.messages import Cause, Emit
from service_runtime.paging import Keyset, Page
from service_runtime.ports import Database
from service_runtime.postgres import PostgresTransaction
from service_runtime.web import Credentials

FIRST = UUID(int=0)
Change = Callable[[Items, Item, Cause], Awaitable[Reply]]


class Fields(BaseModel):
    """What a client says of an item."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(min_length=1, max_length=100, pattern=r"^[^\x00-\x1f]*$")


def routes(
    requests: HttpUnitOfWork, database: Database, credentials: Credentials, most: int
) -> APIRouter:
    """Return the routes; reads need the scope `ops.read`, writes `ops.write`."""
    router = APIRouter(prefix="/items")
    _add_reads(router, database, credentials, most)
    _add_writes(router, requests, credentials)
    return router


def _add_reads(router: APIRouter, database: Database, credentials: Credentials, most: int) -> None:
    reader = [Depends(credentials.require("ops.read"))]

    @router.get("", dependencies=reader)
    async def listing(page: Annotated[Page, Depends(Keyset(["id"], [FIRST], most))]) -> Any:
        """Return a page of items by id."""
        async with database.transaction() as tx:
            return page.reply("items", await Items(tx).page(page.after, page.limit))

    @router.get("/{item_id}", dependencies=reader)
    async def one(item_id: UUID) -> Any:
        """Return an item."""
        async with database.transaction() as tx:
            found = await Items(tx).found(item_id)
        if not found:
            raise HTTPException(404, f"Unknown item: {item_id}")
        return found[0]


def _add_writes(router: APIRouter, requests: HttpUnitOfWork, credentials: Credentials) -> None:
    Caller = Annotated[str, Depends(credentials.require("ops.write"))]  # noqa: N806 - a type

    @router.post("", status_code=201)
    async def create(request: Request, caller: Caller, fields: Fields) -> Response:
        """Create an item; a name is taken once."""

        async def act(tx: PostgresTransaction, cause: Cause) -> Reply:
            item = Item(cause.id, fields.name)
            await Items(tx).add(item)
            return _reply(item, [Emit(changed(item, "created"), cause)], status=201)

        return await requests.run(request, caller, act)

    @router.put("/{item_id}")
    async def rename(request: Request, item_id: UUID, caller: Caller, fields: Fields) -> Response:
        """Rename an item, if it still has the version of `If-Match`."""

        async def act(items: Items, item: Item, cause: Cause) -> Reply:
            new = renamed(item, fields.name)
            await items.save(new)
            return _reply(new, [Emit(changed(new, "renamed"), cause)])

        return await requests.run(request, caller, _on(item_id, request, act))

    @router.delete("/{item_id}")
    async def delete(request: Request, item_id: UUID, caller: Caller) -> Response:
        """Delete an item, if it still has the version of `If-Match`."""

        async def act(items: Items, item: Item, cause: Cause) -> Reply:
            await items.delete(item)
            return _reply(item, [Emit(changed(item, "deleted"), cause)])

        return await requests.run(request, caller, _on(item_id, request, act))


def _on(
    item_id: UUID, request: Request, change: Change
) -> Callable[[PostgresTransaction, Cause], Awaitable[Reply]]:
    """Return the act that locks an item, checks its version and changes it."""
    seen = version_of(request)

    async def act(tx: PostgresTransaction, cause: Cause) -> Reply:
        item = await Items(tx).locked(item_id)
        if item is None:
            return Reply({"error": f"Unknown item: {item_id}"}, status=404)
        if seen not in (None, item.version):
            raise StaleVersionError("item: changed since it was read")
        return await change(Items(tx), item, cause)

    return act


def _reply(item: Item, events: list[Emit], status: int = 200) -> Reply:
    body = {"id": item.id, "name": item.name, "version": item.version}
    return Reply(body, status, events, version=item.version)
