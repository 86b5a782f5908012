"""The ports that the runtime's loops stand on: real adapters here, memory twins in testkit."""

from asyncio import Event, Future
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

from service_runtime.messages import Due, ProducerRecord, Record, Trace


@dataclass(frozen=True, slots=True)
class OutboxRow:
    """An outbox row and the records in it, which are published, and deleted, together."""

    id: int
    records: tuple[ProducerRecord, ...]
    waited_s: float | None = field(default=None, compare=False)
    """How long it had waited when it was swept; None where its writer publishes it."""


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A record that its consumer will never handle, and why."""

    record: Record
    reason: str
    error_class: str
    attempts: int
    first_seen: datetime


@dataclass(frozen=True, slots=True)
class Lease:
    """What a work table keeps beside a row's own columns; a store's memory twin writes it too."""

    due_at: datetime | None
    lease_until: datetime | None = None
    epoch: int = 0
    attempts: int = 0
    parked: str | None = None
    trace: Trace = ()


class Transaction(Protocol):
    """One database transaction: what the runtime and a store write in it is committed together."""

    async def claim_inbox(self, consumer: str, event_ids: Sequence[UUID]) -> set[UUID]:
        """Note the ids as handled by the consumer; return those that were not yet."""
        ...

    async def add_to_outbox(self, records: Sequence[ProducerRecord]) -> list[OutboxRow]:
        """Keep the records until the broker has them; they are claimed by this process."""
        ...

    async def record_dead_letters(
        self, consumer: str, letters: Sequence[DeadLetter]
    ) -> list[DeadLetter]:
        """Note the dead letters; return those that were not yet known by topic and offset."""
        ...


class Database(Protocol):
    """Where transactions come from, and the outbox outside of them."""

    def transaction(self) -> AbstractAsyncContextManager[Any]:
        """Open a transaction: committed at the end of the block, rolled back on an error."""
        ...

    async def claim_outbox(self, limit: int) -> list[OutboxRow]:
        """Claim outbox rows whose claim has run out."""
        ...

    async def delete_outbox(self, ids: Sequence[int]) -> None:
        """Delete rows that the broker has acknowledged."""
        ...

    async def count_outbox(self) -> int:
        """Count the records that wait."""
        ...


@dataclass(frozen=True, slots=True)
class ProducerBatch:
    """Records that go to the broker together and are acknowledged together."""

    indices: Sequence[int]
    """Which of the records that were packed are in it."""
    send: Callable[[], Awaitable[Future[Any]]]
    """Hands it to the producer; the future ends when the broker has it.

    Raises Rejected where it can never be sent, and so does the future where the broker says so.
    """
    ordering_key: str = ""
    """What it shares with the batches that it may not overtake: topic and partition."""


class Publisher(Protocol):
    """The way to the broker."""

    async def build_batches(self, records: Sequence[ProducerRecord]) -> Sequence[ProducerBatch]:
        """Pack records into batches, to be sent in this order: that of each key is kept."""
        ...


class Source(Protocol):
    """The way from the broker, for one consumer."""

    async def poll(self, limit: int, timeout_s: float) -> Sequence[Record]:
        """Return what has arrived, in order within each partition."""
        ...

    def done(self, records: Sequence[Record]) -> None:
        """Note that everything up to these records is handled; offsets follow soon."""
        ...

    async def idle(self, seconds: float, stopping: Event) -> None:
        """Stay a member of the group without taking records, for so long or until the stop."""
        ...


class WorkTable(Protocol):
    """A table of rows that are due at a time."""

    name: str

    async def claim(self, tx: Any, limit: int, lease_s: float) -> Sequence[Due[Any]]:
        """Lease rows that are due, skipping those that others have."""
        ...

    async def still_mine(self, tx: Any, due: Sequence[Due[Any]]) -> set[UUID]:
        """Lock the rows; return the ids of those whose epoch is still the one that was leased."""
        ...

    async def park(self, tx: Any, due: Due[Any], error: str) -> None:
        """Set the row aside for a person; it is never deleted."""
        ...
