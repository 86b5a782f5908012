"""Cursors: named positions that one instance at a time advances, under a lease with fencing.

A cursor's position lies in a foreign log (`Watcher`) or in time (`jobs.Job`). The lease's epoch is
the fencing token: it changes with the holder and with every rewind, and a transaction that advances
the cursor under another epoch fails as a whole.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

from psycopg.rows import DictRow

from service_runtime.errors import Unavailable
from service_runtime.messages import ProducerRecord
from service_runtime.postgres import PostgresDatabase, PostgresTransaction
from service_runtime.unit_of_work import Write

LEASE_S = 15.0
"""How long a holder may be silent before another instance takes over."""
RENEWALS = 3
"""In the time of a lease, while something is done under it."""
T = TypeVar("T")


class LeaseLostError(Unavailable):
    """Another instance holds the cursor, or an operator has moved it."""

    reason = "lease_lost"


@dataclass(frozen=True, slots=True)
class Held:
    """A cursor under this instance's lease."""

    name: str
    position: str | None
    """None before the first page."""
    epoch: int

    async def fence(self, tx: PostgresTransaction) -> None:
        """Lock the cursor until the commit; raise LeaseLostError where the lease is lost."""
        await self.advance(tx, self.position)

    async def advance(self, tx: PostgresTransaction, position: str | None) -> None:
        """Move the cursor with what the transaction writes; raise LeaseLostError."""
        moved = await tx.rows(
            """update cursor set position = %(position)s, moved_at = clock_timestamp()
               where name = %(name)s and epoch = %(epoch)s returning name""",
            name=self.name,
            position=position,
            epoch=self.epoch,
        )
        if not moved:
            raise LeaseLostError(f"{self.name}: another instance holds it")


class Cursor:
    """One cursor of a service, as one of its instances sees it."""

    def __init__(self, database: PostgresDatabase, name: str, lease_s: float = LEASE_S) -> None:
        self.name = name
        self._database = database
        self._lease_s = lease_s

    async def hold(self) -> Held | None:
        """Take the lease, or renew it; return None while another instance holds it."""
        async with self._database.transaction() as tx:
            found = await tx.rows(
                """insert into cursor as held (name, owner, held_until)
                   values (%(name)s, %(owner)s,
                           clock_timestamp() + make_interval(secs => %(lease_s)s))
                   on conflict (name) do update
                   set owner = excluded.owner, held_until = excluded.held_until,
                       epoch = held.epoch + (held.owner is distinct from excluded.owner)::int
                   where held.owner is not distinct from excluded.owner
                      or coalesce(held.held_until < now(), true)
                   returning position, epoch""",
                name=self.name,
                owner=tx.owner,
                lease_s=self._lease_s,
            )
        return Held(self.name, **found[0]) if found else None

    async def release(self, held: Held) -> None:
        """Let another instance take the lease at once."""
        async with self._database.transaction() as tx:
            await tx.run(
                "update cursor set held_until = null where name = %(name)s and epoch = %(epoch)s",
                name=held.name,
                epoch=held.epoch,
            )

    async def while_held(self, held: Held, acting: Coroutine[Any, Any, T]) -> T:
        """Renew the lease until the action ends; cancel the action once the lease is lost."""
        action = asyncio.ensure_future(acting)
        try:
            while not (await asyncio.wait({action}, timeout=self._lease_s / RENEWALS))[0]:
                renewed = await self.hold()
                if renewed is None or renewed.epoch != held.epoch:
                    raise LeaseLostError(f"{self.name}: lost while it was held")
            return action.result()
        finally:
            action.cancel()
            await asyncio.wait({action})


async def listed(tx: PostgresTransaction) -> list[DictRow]:
    """Return the service's cursors by name."""
    return await tx.rows(
        "select name, position, owner, held_until, epoch, moved_at from cursor order by name"
    )


async def rewind(tx: PostgresTransaction, name: str, position: str | None) -> bool:
    """Move a cursor to any position, and refuse what its holder does meanwhile.

    Return False where there is no such cursor.
    """
    moved = await tx.rows(
        """update cursor set position = %(position)s, owner = null, held_until = null,
               epoch = epoch + 1, moved_at = clock_timestamp()
           where name = %(name)s returning name""",
        name=name,
        position=position,
    )
    return bool(moved)


@dataclass(frozen=True, slots=True)
class LogPage:
    """What a foreign log holds behind a position, and the position behind it."""

    position: str | None
    entries: Sequence[Any] = ()


Read = Callable[[str | None], Coroutine[Any, Any, LogPage]]
"""Reads the page behind a position (None: the first); the same position where nothing is new."""
HandlePage = Callable[[Sequence[Any], PostgresTransaction], Awaitable[Sequence[ProducerRecord]]]
"""Writes the effect of a page's entries; returns the records that go out with it."""


@dataclass(frozen=True, slots=True)
class Watcher:
    """Follows a foreign log: a page's effect, its events and the new position are one commit."""

    cursor: Cursor
    read: Read
    handle: HandlePage
    commit: Callable[[Write], Awaitable[None]]
    poll_s: float = 1.0

    async def step(self) -> float:
        """Handle the next page; return how many seconds to wait before the one behind it."""
        held = await self.cursor.hold()
        if held is None:
            return self.poll_s
        page = await self.cursor.while_held(held, self.read(held.position))
        if page.position == held.position:
            return self.poll_s
        await self.commit(partial(self._write, held, page))
        return 0.0

    async def _write(self, held: Held, page: LogPage, tx: Any) -> Sequence[ProducerRecord]:
        # First of all: an instance that has lost the lease writes nothing.
        await held.advance(tx, page.position)
        return await self.handle(page.entries, tx) if page.entries else ()
