"""The unit of work: claim, handle, outbox, commit, then publish; retries and bisection."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Protocol
from uuid import UUID

from typing_extensions import TypeVar

from service_runtime.clock import Clock
from service_runtime.errors import (
    Consequence,
    Unavailable,
    conflict_of,
    consequence_of,
    is_too_much,
)
from service_runtime.logs import Log
from service_runtime.messages import Batch, Events, Item, ProducerRecord
from service_runtime.ports import Database
from service_runtime.relay import Relay

TRIES = 3
"""Of an item that fails unexpectedly, before it is a dead letter or parked."""
TOO_SLOW_TRIES = 10
"""Of a single item that exceeds a database time-out: over two minutes with the back-off. Then it is
a dead letter, if the database can write one."""
RACES = 5
"""Unique violations in a row that count as races; more count as a defect."""
BETWEEN_TRIES_S = 0.05

T = TypeVar("T", bound=Item)
Write = Callable[[Any], Awaitable[Sequence[ProducerRecord]]]
"""Writes in a transaction; returns the records to publish after its commit."""
_log = Log("unit")


class Step(Protocol[T]):
    """The work on items in one transaction."""

    async def claim(self, tx: Any, items: Sequence[T]) -> Sequence[T]:
        """Claim the items; return those that were claimed, each once."""
        ...

    async def handle(self, tx: Any, batch: Batch[T, Any]) -> Events:
        """Decide, save, return the events."""
        ...

    async def give_up(
        self, tx: Any, item: T, error: Exception, attempts: int
    ) -> Sequence[ProducerRecord]:
        """Record a dead letter or park the item; return the records to publish."""
        ...

    async def between(self) -> None:
        """Runs between the attempts of a failing batch, which may take minutes."""
        ...


class UnitOfWork:
    """Runs steps; the only place that commits."""

    def __init__(self, database: Database, relay: Relay, service: str, clock: Clock) -> None:
        self._database = database
        self._relay = relay
        self._service = service
        self._clock = clock
        self._too_slow: Counter[UUID] = Counter()
        """How often an item took too long by itself."""

    async def carry_out(
        self, step: Step[T], items: Sequence[T], lookups: Mapping[UUID, Any]
    ) -> None:
        """Handle the items; isolate an item that fails by bisection, and give it up.

        Raises Unavailable where a dependency is down: retry the same items later. Items that were
        committed meanwhile are claimed and not repeated. A batch that takes too long is bisected,
        too; a single item that takes too long is tried TOO_SLOW_TRIES times.
        """
        try:
            await self._retry_conflicts(step, items, lookups)
        except Exception as error:
            if consequence_of(error) is Consequence.WAIT and not self._is_bisected(items, error):
                raise Unavailable(type(error).__qualname__) from error
            await self._bisect(step, items, lookups, error)
        else:
            for item in items if self._too_slow else ():
                self._too_slow.pop(item.cause.id, None)

    def _is_bisected(self, items: Sequence[Item], error: Exception) -> bool:
        """Say whether items that took too long are bisected, or a single one is given up."""
        if not is_too_much(error):
            return False
        if len(items) == 1:
            self._too_slow[items[0].cause.id] += 1
        return len(items) > 1 or self._too_slow[items[0].cause.id] >= TOO_SLOW_TRIES

    async def _bisect(
        self, step: Step[T], items: Sequence[T], lookups: Mapping[UUID, Any], error: Exception
    ) -> None:
        if len(items) > 1:
            middle = len(items) // 2
            for half in (items[:middle], items[middle:]):
                await step.between()
                await self.carry_out(step, half, lookups)
            return
        is_retried = consequence_of(error) in (Consequence.TRY_AGAIN, Consequence.RACE)
        attempts = TRIES if is_retried else 1
        for attempt in range(1, attempts):
            await asyncio.sleep(BETWEEN_TRIES_S * attempt)
            try:
                await self._retry_conflicts(step, items, lookups)
            except Exception as again:
                if consequence_of(again) is Consequence.WAIT:
                    raise Unavailable(type(again).__qualname__) from again
                error = again
            else:
                return
        _log.error("set_aside", work_id=items[0].cause.id, error_class=type(error).__qualname__)
        failure, attempts = error, self._too_slow.pop(items[0].cause.id, attempts)
        await self.record_dead_letters(lambda tx: step.give_up(tx, items[0], failure, attempts))

    async def _retry_conflicts(
        self, step: Step[T], items: Sequence[T], lookups: Mapping[UUID, Any]
    ) -> None:
        """Handle the items; after a lost race, retry with the rows of the winner."""
        for _ in range(RACES - 1):
            try:
                await self._once(step, items, lookups)
            except Exception as error:
                if consequence_of(error) is not Consequence.RACE:
                    raise
            else:
                return
        await self._once(step, items, lookups)

    async def _once(self, step: Step[T], items: Sequence[T], lookups: Mapping[UUID, Any]) -> None:
        now = self._clock.now()
        async with self._database.transaction() as tx:
            kept = await step.claim(tx, items)
            if not kept:
                return
            events = await step.handle(tx, Batch(kept, now, lookups))
            outgoing = [(emit, emit.outgoing(self._service, now)) for emit in events]
            stored = await tx.add_to_outbox([o for emit, o in outgoing if emit.through_outbox])
        for taker, due in tx.handed_over:
            taker.take(due, now)
        answers = [o for emit, o in outgoing if not emit.through_outbox]
        await self._relay.publish(stored, answers)

    async def run_in_transaction(self, write: Write) -> None:
        """Commit what `write` writes with the records that it returns, then publish them.

        Raises Conflict where a constraint refuses it, Unavailable where the database is down; any
        other error is `write`'s own. Nothing is written then. After a lost race `write` runs again.
        """
        for attempt in range(1, RACES + 1):
            try:
                await self._commit(write)
            except Exception as error:
                if consequence_of(error) is Consequence.RACE and attempt < RACES:
                    continue
                if consequence_of(error) is Consequence.WAIT:
                    raise Unavailable(type(error).__qualname__) from error
                if conflict := conflict_of(error):
                    raise conflict from error
                raise
            else:
                return

    async def record_dead_letters(self, write: Write) -> None:
        """Commit dead letters. Raises Unavailable on any error, so that none is lost."""
        try:
            await self._commit(write)
        except Exception as error:
            raise Unavailable(type(error).__qualname__) from error

    async def _commit(self, write: Write) -> None:
        now = self._clock.now()
        async with self._database.transaction() as tx:
            stored = await tx.add_to_outbox(await write(tx))
        for taker, due in tx.handed_over:
            taker.take(due, now)
        await self._relay.publish(stored)
