"""Owners of personal data: who has a key here, and what is done when a person is erased.

A migration of the owner has `-- include service_runtime/subjects.sql`, which makes the table
`subject`. Compliance, where persons are erased, has its own.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar
from uuid import UUID

from payment_schemas.events.record import AuditRecorded
from payment_schemas.events.subject import SubjectErased
from service_runtime.clock import Clock
from service_runtime.consumer import Handler
from service_runtime.jobs import Every, Job, Run
from service_runtime.messages import Batch, Cause, Emit, Events, ProducerRecord, Received
from service_runtime.postgres import PostgresDatabase, PostgresTransaction
from service_runtime.subject_keys import (
    ErasedError,
    KeyLostError,
    Readable,
    SubjectKey,
    SubjectKeys,
)
from service_runtime.unit_of_work import UnitOfWork

SLICE = 100
PAGE = 1000
DESTROY_EVERY_S = 5.0
LOOK_AFTER_KEYS_S = 3600.0
CACHED_S = 60.0
"""A key that was destroyed by another instance is forgotten within it."""
MOST_CACHED = 10_000
AT_ONCE = 16
A = TypeVar("A")
B = TypeVar("B")


@dataclass(frozen=True, slots=True)
class Subject:
    """A person of whom there is personal data here, or was."""

    user_id: str
    key_id: UUID
    erased_at: datetime | None


_SUBJECT = "select user_id, key_id, erased_at from subject"


class Subjects:
    """Subjects within one transaction."""

    def __init__(self, tx: PostgresTransaction) -> None:
        self._tx = tx

    async def found(self, user_ids: Collection[str]) -> dict[str, Subject]:
        """Return subjects, whom no other transaction erases meanwhile."""
        where = " where user_id = any(%(ids)s) order by user_id for share"
        return {one.user_id: one for one in await self._read(where, ids=sorted(user_ids))}

    async def add(self, key_ids: Mapping[str, UUID]) -> None:
        """Add subjects; of two at once the first one's key counts."""
        await self._tx.run(
            """insert into subject (user_id, key_id)
               select * from unnest(%(users)s::text[], %(keys)s::uuid[]) order by 1
               on conflict (user_id) do nothing""",
            users=list(key_ids),
            keys=list(key_ids.values()),
        )

    async def erase(self, key_ids: Mapping[str, UUID], at: datetime) -> None:
        """Mark users as erased. An unknown user is added, so that none of its data is written."""
        await self._tx.run(
            """insert into subject as old (user_id, key_id, erased_at)
               select *, %(at)s from unnest(%(users)s::text[], %(keys)s::uuid[]) order by 1
               on conflict (user_id) do update
               set erased_at = excluded.erased_at where old.erased_at is null""",
            users=list(key_ids),
            keys=list(key_ids.values()),
            at=at,
        )

    async def to_destroy(self, limit: int) -> list[Subject]:
        """Return erased subjects whose keys may still be there, the first one first."""
        where = """ where erased_at is not null and destroyed_at is null
                    order by erased_at limit %(limit)s"""
        return await self._read(where, limit=limit)

    async def readable(self, after: str, limit: int) -> list[Subject]:
        """Return subjects behind a user that are not erased, as far as this database knows."""
        where = """ where user_id > %(after)s and erased_at is null
                    order by user_id limit %(limit)s"""
        return await self._read(where, after=after, limit=limit)

    async def destroyed(self, user_id: str, at: datetime) -> None:
        """Note that the key of a subject is gone."""
        await self._tx.run(
            """update subject set erased_at = coalesce(erased_at, %(at)s), destroyed_at = %(at)s
               where user_id = %(user_id)s and destroyed_at is null""",
            user_id=user_id,
            at=at,
        )

    async def _read(self, where: str, **values: Any) -> list[Subject]:
        return [Subject(**row) for row in await self._tx.rows(_SUBJECT + where, **values)]


@dataclass(slots=True)
class Vault:
    """The keys of an owner's subjects, the latest ones for a minute."""

    keys: SubjectKeys
    clock: Clock
    _known: dict[UUID, tuple[SubjectKey, float]] = field(default_factory=dict, repr=False)

    async def keys_for(
        self, tx: PostgresTransaction, user_ids: Collection[str]
    ) -> dict[str, tuple[UUID, SubjectKey]]:
        """Return users' keys to write with, and their ids; the first time, a key is made.

        Raises ErasedError: who was erased begins again under another user.
        """
        subjects, store = await Subjects(tx).found(user_ids), Subjects(tx)
        new = {name: self.clock.new_id() for name in user_ids if name not in subjects}
        if new:
            await _each(new.values(), self.keys.create)
            await store.add(new)
            subjects = await store.found(user_ids)
        if any(one.erased_at for one in subjects.values()):
            raise ErasedError
        ids = {name: one.key_id for name, one in subjects.items()}
        found = await self.find(ids.values())
        return {name: (key_id, opened(found[key_id])) for name, key_id in ids.items()}

    async def find(self, key_ids: Collection[UUID]) -> dict[UUID, Readable]:
        """Return each key, or the error that says why there is none."""
        now_s, found = time.monotonic(), dict[UUID, Readable]()
        for key_id in set(key_ids):
            key, until_s = self._known.get(key_id, (None, 0.0))
            if key is not None and now_s < until_s:
                found[key_id] = key
        missing = [key_id for key_id in set(key_ids) if key_id not in found]
        if missing:
            found |= zip(missing, await self.keys.find_all(missing), strict=True)
            self._keep(found, missing, now_s + CACHED_S)
        return found

    def forget(self, key_ids: Collection[UUID]) -> None:
        """Forget keys that are to be destroyed."""
        for key_id in key_ids:
            self._known.pop(key_id, None)

    def _keep(self, found: Mapping[UUID, Readable], read: Sequence[UUID], until_s: float) -> None:
        for key_id in read:
            key = found[key_id]
            if isinstance(key, SubjectKey):
                while len(self._known) >= MOST_CACHED:
                    self._known.pop(next(iter(self._known)))
                self._known[key_id] = key, until_s


def opened(key: Readable) -> SubjectKey:
    """Return a key; raise why there is none."""
    if isinstance(key, SubjectKey):
        return key
    raise key


async def _each(given: Collection[A], act: Callable[[A], Awaitable[B]]) -> list[B]:
    """Return the results of an act, several at once: the disk waits more than it works."""
    bound = asyncio.Semaphore(AT_ONCE)

    async def one(value: A) -> B:
        async with bound:
            return await act(value)

    return await asyncio.gather(*map(one, given))


Forget = Callable[[PostgresTransaction, Sequence[str]], Awaitable[None]]
"""Removes the rows of erased users; it may be repeated."""


@dataclass(frozen=True, slots=True)
class Erasure:
    """An owner's part of an erasure: first the rows, then the key; a failed step is repeated."""

    name: str
    vault: Vault
    database: PostgresDatabase
    unit: UnitOfWork
    clock: Clock
    forget: Forget

    async def on_erased(
        self, batch: Batch[Received[SubjectErased]], tx: PostgresTransaction
    ) -> Events:
        """Mark the persons and remove their rows; their keys go seconds later."""
        ids = {item.event.user_id: self.clock.new_id() for item in batch}
        await Subjects(tx).erase(ids, batch.now)
        await self.forget(tx, list(ids))
        return ()

    @property
    def handler(self) -> Handler:
        """The handler of `subject.erased.v1`; it is idempotent."""
        return Handler(SubjectErased, self.on_erased, lambda tx: tx)

    def jobs(self) -> list[Job]:
        """Return the jobs that destroy keys, and look after them."""
        return [
            Job("subjects-erased", Every(DESTROY_EVERY_S), self.destroy),
            Job("subject-keys", Every(LOOK_AFTER_KEYS_S), self.look_after_keys),
        ]

    async def destroy(self, _run: Run) -> None:
        """Destroy the keys of erased persons."""
        async with self.database.transaction() as tx:
            found = await Subjects(tx).to_destroy(SLICE)
        self.vault.forget([one.key_id for one in found])
        for subject in found:
            await self.vault.keys.destroy(subject.key_id)
            await self._finish(subject.user_id)

    async def look_after_keys(self, _run: Run) -> None:
        """Find persons whose key is gone, and wrap the keys of others anew after a rotation.

        A database that is restored from a backup of before an erasure lacks the erasure: its rows
        cannot be read, and are removed here. Raises KeyLostError, after all others, where a key is
        lost.
        """
        after, lost = "", 0
        while True:
            async with self.database.transaction() as tx:
                page = await Subjects(tx).readable(after, PAGE)
            for subject in page:
                try:
                    await self._look_after(subject)
                except KeyLostError:
                    lost += 1
            if len(page) < PAGE:
                break
            after = page[-1].user_id
        if lost:
            raise KeyLostError(f"subject keys: {lost} are lost")

    async def _look_after(self, subject: Subject) -> None:
        if await self.vault.keys.is_destroyed(subject.key_id):
            await self._finish(subject.user_id)
        elif await self.vault.keys.needs_wrapping(subject.key_id):
            async with self.database.transaction() as tx:
                # Whoever erases the person waits: its key would be back.
                found = await Subjects(tx).found([subject.user_id])
                if not found[subject.user_id].erased_at:
                    await self.vault.keys.wrap_again(subject.key_id)

    async def _finish(self, user_id: str) -> None:
        """Remove rows that were written meanwhile; the audit log names the destroyed key."""
        now, cause = self.clock.now(), Cause(self.clock.new_id())
        event = AuditRecorded(actor=self.name, action="SUBJECT_KEY_DESTROYED", about=user_id)

        async def write(tx: PostgresTransaction) -> Sequence[ProducerRecord]:
            await Subjects(tx).destroyed(user_id, now)
            await self.forget(tx, [user_id])
            return [Emit(event, cause).outgoing(self.name, now)]

        await self.unit.run_in_transaction(write)
