"""Items in PostgreSQL."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sample.domain import Item
from service_runtime.postgres import PostgresTransaction


class Items:
    """Items within one transaction."""

    def __init__(self, tx: PostgresTransaction) -> None:
        self._tx = tx

    async def add(self, item: Item) -> None:
        """Add an item. A name that another item has is refused by the database: a Conflict."""
        await self._tx.run(
            "insert into item (id, name, version) values (%(id)s, %(name)s, %(version)s)",
            id=item.id,
            name=item.name,
            version=item.version,
        )

    async def locked(self, item_id: UUID) -> Item | None:
        """Return an item that no other transaction changes meanwhile."""
        rows = await self._tx.rows(
            "select id, name, version from item where id = %(id)s for update", id=item_id
        )
        return Item(**rows[0]) if rows else None

    async def save(self, item: Item) -> None:
        """Write back an item that was locked."""
        await self._tx.run(
            "update item set name = %(name)s, version = %(version)s where id = %(id)s",
            id=item.id,
            name=item.name,
            version=item.version,
        )

    async def delete(self, item: Item) -> None:
        """Delete an item that was locked."""
        await self._tx.run("delete from item where id = %(id)s", id=item.id)

    async def found(self, item_id: UUID) -> list[dict[str, Any]]:
        """Return an item as clients see it, if there is one."""
        return await self._tx.rows(
            "select id, name, version, created_at from item where id = %(id)s", id=item_id
        )

    async def page(self, after: Sequence[Any], limit: int) -> list[dict[str, Any]]:
        """Return items behind an id, in the order of their ids."""
        return await self._tx.rows(
            """select id, name, version, created_at from item where id > %(after)s
               order by id limit %(limit)s""",
            after=after[0],
            limit=limit,
        )
