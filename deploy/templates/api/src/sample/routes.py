"""Create, read, rename, list and delete items."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, HTTPException, Request
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field

from sample.domain import Item, changed, renamed
from sample.store import Items
from service_runtime.files import digest_of, receive_file, send_file
from service_runtime.http_unit import HttpUnitOfWork, Reply, StaleVersionError, version_of
from service_runtime.messages import Cause, Emit
from service_runtime.object_store import ObjectStore
from service_runtime.operators import Operators
from service_runtime.paging import Keyset, Page
from service_runtime.ports import Database
from service_runtime.postgres import PostgresTransaction
from service_runtime.web import JsonResponse

FIRST = UUID(int=0)
Change = Callable[[Items, Item, Cause], Awaitable[Reply]]


class Fields(BaseModel):
    """What a client says of an item."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(min_length=1, max_length=100, pattern=r"^[^\x00-\x1f]*$")


def routes(
    requests: HttpUnitOfWork, database: Database, operators: Operators, most: int
) -> APIRouter:
    """Return the routes; reads need the scope `ops.read`, writes `ops.write`."""
    router = APIRouter(prefix="/items")
    _add_reads(router, database, operators, most)
    _add_writes(router, requests, operators)
    return router


def _add_reads(router: APIRouter, database: Database, operators: Operators, most: int) -> None:
    reader = [Depends(operators.require("ops.read"))]

    @router.get("", dependencies=reader)
    async def listing(page: Annotated[Page, Depends(Keyset(["id"], [FIRST], most))]) -> Any:
        """Return a page of items by id."""
        async with database.transaction() as tx:
            return page.reply("items", await Items(tx).page(page.after, page.limit))

    @router.get("/{item_id}", dependencies=reader)
    async def one(item_id: UUID) -> Any:
        """Return an item."""
        return await _existing(database, item_id)


def _add_writes(router: APIRouter, requests: HttpUnitOfWork, operators: Operators) -> None:
    Caller = Annotated[str, Depends(operators.require("ops.write"))]  # noqa: N806 - a type

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


@dataclass(frozen=True, slots=True)
class Documents:
    """Where the items' documents are, and how large one may be."""

    store: ObjectStore
    most_bytes: int


def add_documents(
    router: APIRouter, database: Database, operators: Operators, documents: Documents
) -> None:
    """Add the routes of an item's document, which is streamed both ways."""

    @router.put("/{item_id}/document", dependencies=[Depends(operators.require("ops.write"))])
    async def upload(request: Request, item_id: UUID) -> Response:
        """Store the body as the item's document, whole or not at all."""
        await _existing(database, item_id)
        stored = await receive_file(request, documents.store, str(item_id), documents.most_bytes)
        headers = {"Content-Digest": digest_of(stored)}
        return JsonResponse({"id": item_id, "size": stored.size}, 201, headers)

    @router.get("/{item_id}/document", dependencies=[Depends(operators.require("ops.read"))])
    async def download(request: Request, item_id: UUID) -> Response:
        """Return the document, or the part of it that `Range` names."""
        await _existing(database, item_id)
        return await send_file(request, documents.store, str(item_id))


async def _existing(database: Database, item_id: UUID) -> dict[str, Any]:
    """Return an item as clients see it, or raise HTTPException 404."""
    async with database.transaction() as tx:
        found = await Items(tx).found(item_id)
    if not found:
        raise HTTPException(404, f"Unknown item: {item_id}")
    return found[0]


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
