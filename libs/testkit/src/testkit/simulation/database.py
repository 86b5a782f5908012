"""A database that outlives its processes: committed changes stay, others are lost."""

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
"""Called with the tables before and after each commit."""


@dataclass
class Storage:
    """One service's tables and the open transaction, one at a time."""

    tables: Tables = field(default_factory=Tables)
    watches: list[Watch] = field(default_factory=list)
    _holder: "Session | None" = None
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def take(self, session: "Session") -> None:
        """Wait until no other transaction is open."""
        await self._turn.acquire()
        self._holder = session

    def leave(self, session: "Session") -> None:
        """End the transaction, unless the server has ended it."""
        if self._holder is session:
            self._holder = None
            self._turn.release()

    def is_open_for(self, session: "Session") -> bool:
        """Return whether the session's transaction is open."""
        return self._holder is session

    def drop(self, life: Life) -> None:
        """End the transaction of a dead or paused process."""
        if self._holder is not None and self._holder.life is life:
            self.leave(self._holder)

    def commit(self, tables: Tables) -> None:
        """Commit a transaction's tables."""
        before, self.tables = self.tables, tables
        for watch in self.watches:
            watch(before, tables)


class Session:
    """The session of one transaction."""

    def __init__(self, life: Life) -> None:
        self.life = life


class SimulatedTransaction(MemoryTransaction):
    """A twin's transaction with its process, which can crash at each step."""

    def __init__(self, tables: Tables, clock: Clock, life: Life) -> None:
        super().__init__(tables, clock)
        self.life = life


class SimulatedDatabase(MemoryDatabase):
    """A process's connection to its storage."""

    def __init__(self, storage: Storage, life: Life, clock: Clock, faults: Faults) -> None:
        self._storage = storage
        self._life = life
        self._clock = clock
        self._faults = faults
        life.on_still.append(lambda: storage.drop(life))

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[SimulatedTransaction]:
        """Open a transaction. Raises psycopg.OperationalError if the server is down."""
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
        # The process does not learn whether it was committed.
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
