"""A store of tasks for tests of work tables, in memory and in PostgreSQL."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

import orjson

from service_runtime.messages import Due
from service_runtime.ports import Lease, Taker
from service_runtime.postgres import PostgresTransaction
from service_runtime.work_table import INSERTED_LEASE_S, hand_over
from testkit.memory import MemoryTransaction


@dataclass(frozen=True)
class Task:
    """A row of the table."""

    id: UUID
    note: str = ""


class MemoryTasks:
    """The store of tasks on the twin."""

    def __init__(self, tx: MemoryTransaction) -> None:
        self._tx = tx

    async def add(self, *tasks: UUID, seconds: float = 0) -> None:
        due_at = self._tx.clock.now() + timedelta(seconds=seconds)
        for task in tasks:
            self._tx.own["task"][task] = Task(task)
            self._tx.own["task/lease"][task] = Lease(due_at)

    async def add_leased(self, taker: Taker, *tasks: UUID) -> None:
        """Add tasks as leased to a worker, and hand them over."""
        await self.add(*tasks)
        for task in tasks:
            self._tx.lease_added("task", task)
        hand_over(self._tx, tasks, [(task, Task(task), (), taker) for task in tasks])

    async def finish(self, due: Sequence[Due[Any]], note: str) -> None:
        for item in due:
            row_id = item.cause.id
            self._tx.own["task"][row_id] = Task(row_id, note)
            self._tx.own["task/lease"][row_id] = Lease(None, None, item.epoch, item.attempts)

    async def notes(self) -> dict[UUID, str]:
        return {row.id: row.note for row in self._tx.own["task"].values()}

    async def parked(self) -> dict[UUID, str]:
        leases = self._tx.own["task/lease"].items()
        return {row_id: lease.parked for row_id, lease in leases if lease.parked}


class PostgresTasks:
    """The store of tasks in PostgreSQL."""

    def __init__(self, tx: PostgresTransaction) -> None:
        self._tx = tx

    async def add(self, *tasks: UUID, seconds: float = 0) -> None:
        await self._tx.run(
            """insert into task (id, due_at)
               select value::uuid, clock_timestamp() + make_interval(secs => %(seconds)s)
               from json_array_elements_text(%(ids)s::json)""",
            ids=orjson.dumps(tasks).decode(),
            seconds=seconds,
        )

    async def add_leased(self, taker: Taker, *tasks: UUID) -> None:
        """Add tasks as leased to a worker, and hand them over."""
        await self.add(*tasks)
        await self._tx.run(
            """update task set epoch = 1, attempts = 1, owner = %(owner)s,
                   lease_until = clock_timestamp() + make_interval(secs => %(lease_s)s)
               where id in (select value::uuid from json_array_elements_text(%(ids)s::json))""",
            ids=orjson.dumps(tasks).decode(),
            owner=self._tx.owner,
            lease_s=INSERTED_LEASE_S,
        )
        hand_over(self._tx, tasks, [(task, Task(task), (), taker) for task in tasks])

    async def finish(self, due: Sequence[Due[Any]], note: str) -> None:
        await self._tx.run(
            """update task set note = %(note)s, due_at = null, lease_until = null
               where id in (select value::uuid from json_array_elements_text(%(ids)s::json))""",
            ids=orjson.dumps([item.cause.id for item in due]).decode(),
            note=note,
        )

    async def notes(self) -> dict[UUID, str]:
        return {row["id"]: row["note"] for row in await self._tx.rows("select * from task")}

    async def parked(self) -> dict[UUID, str]:
        rows = await self._tx.rows("select * from task where parked_at is not null")
        return {row["id"]: row["last_error"] for row in rows}
