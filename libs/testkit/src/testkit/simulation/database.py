"""A database that outlives its processes: what was committed stays, the rest is forgotten."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta

import psycopg

from service_runtime.clock import Clock
from service_runtime.outbox import CLAIM_S
from service_runtime.ports import OutboxRow
from testkit.memory import MemoryDatabase, MemoryTransaction, Tables
from testkit.simulation.chance import Faults
from testkit.simulation.life import Life, SessionLostError

Watch = Callable[[Tables, Tables], None]
"""Sees the tables before and after each commit."""


@dataclass
class Storage:
    """One service's tables, and whose transaction is open. One at a time."""

    tables: Tables = field(default_factory=Tables)
    watches: list[Watch] = field(default_factory=list)
    _holder: "Session | None" = None
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def take(self, session: "Session") -> None:
        """Wait for the turn."""
        await self._turn.acquire()
        self._holder = session

    def leave(self, session: "Session") -> None:
        """Let the next one in, unless the server has done so already."""
        if self._holder is session:
            self._holder = None
            self._turn.release()

    def is_open_for(self, session: "Session") -> bool:
        """Say whether the session's transaction still stands."""
        return self._holder is session

    def drop(self, life: Life) -> None:
        """End the transaction of a process that does not move."""
        if self._holder is not None and self._holder.life is life:
            self.leave(self._holder)

    def commit(self, tables: Tables) -> None:
        """Make a transaction's tables the tables."""
        before, self.tables = self.tables, tables
        for watch in self.watches:
            watch(before, tables)


class Session:
    """One transaction's claim to the storage."""

    def __init__(self, life: Life) -> None:
        self.life = life


class SimulatedTransaction(MemoryTransaction):
    """A twin's transaction that knows its process, and can be left at each step."""

    def __init__(self, tables: Tables, clock: Clock, life: Life) -> None:
        super().__init__(tables, clock)
        self.life = life


class SimulatedDatabase(MemoryDatabase):
    """A process' way to its storage."""

    def __init__(self, storage: Storage, life: Life, clock: Clock, faults: Faults) -> None:
        self._storage = storage
        self._life = life
        self._clock = clock
        self._faults = faults
        life.on_still.append(lambda: storage.drop(life))

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[SimulatedTransaction]:
        """Open a transaction. Raises psycopg.OperationalError where the server is away."""
        life, storage = self._life, self._storage
        await life.point("begin")
        if self._faults.has(self._faults.rates.database):
            raise psycopg.OperationalError("connection refused")
        session = Session(life)
        await storage.take(session)
        if life.is_still:
            storage.leave(session)
            await life.point("begun")
            raise SessionLostError
        try:
            tx = SimulatedTransaction(storage.tables.copy(), self._clock, life)
            yield tx
            await self._commit(session, tx.tables)
        finally:
            storage.leave(session)
        await life.point("committed")

    async def _commit(self, session: Session, tables: Tables) -> None:
        await self._life.point("commit")
        if not self._storage.is_open_for(session):
            raise SessionLostError
        if not self._faults.has(self._faults.rates.database):
            self._storage.commit(tables)
            return
        if self._faults.has(0.5):
            self._storage.commit(tables)
        # Whether it was committed nobody is told.
        raise psycopg.OperationalError("connection lost")

    async def claim_outbox(self, limit: int) -> list[OutboxRow]:
        now = self._clock.now()
        async with self.transaction() as tx:
            outbox = tx.tables.outbox
            late = [row for row, until in outbox.values() if until < now][:limit]
            until = now + timedelta(seconds=CLAIM_S)
            outbox.update({row.id: (row, until) for row in late})
        return late

    async def delete_outbox(self, ids: Sequence[int]) -> None:
        async with self.transaction() as tx:
            for row_id in ids:
                tx.tables.outbox.pop(row_id, None)

    async def count_outbox(self) -> int:
        return sum(len(row.records) for row, _ in self._storage.tables.outbox.values())
