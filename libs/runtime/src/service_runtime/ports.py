"""The ports of the runtime's loops; the adapters are in this package, memory twins in testkit."""

from asyncio import Event, Future
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

from service_runtime.messages import Due, Partition, ProducerRecord, Record, Trace


@dataclass(frozen=True, slots=True)
class OutboxRow:
    """An outbox row; its records are published and deleted together."""

    id: int
    records: tuple[ProducerRecord, ...]
    waited_s: float | None = field(default=None, compare=False)
    """Time until the sweeper took it; None if its writer publishes it."""


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A record that its consumer will never handle, with the reason."""

    record: Record
    reason: str
    error_class: str
    attempts: int
    first_seen: datetime


@dataclass(frozen=True, slots=True)
class Lease:
    """The lease columns of a work table's row; a store's memory twin writes them, too."""

    due_at: datetime | None
    lease_until: datetime | None = None
    epoch: int = 0
    attempts: int = 0
    parked: str | None = None
    trace: Trace = ()


class Taker(Protocol):
    """Takes rows over that were inserted as leased; a worker."""

    def take(self, due: Due[Any], since: datetime) -> None:
        """Take a row after its commit; `since`: a time before its insert."""
        ...


class Transaction(Protocol):
    """One database transaction, for the writes of the runtime and of a store."""

    handed_over: list[tuple[Taker, Due[Any]]]
    """The rows that are handed over after the commit."""

    async def next_offsets(self, consumer: str) -> dict[Partition, int]:
        """Return the next offset of each partition that the consumer has begun."""
        ...

    async def raise_offsets(
        self, consumer: str, records: Sequence[Record], *, are_handled: bool
    ) -> dict[Partition, int]:
        """Raise the next offsets behind the records; return those before, locked to the commit.

        `are_handled`: records that are not below the offsets before count as handled.
        """
        ...

    async def place_offsets(
        self, consumer: str, starts: Mapping[Partition, int], ends: Mapping[Partition, int]
    ) -> None:
        """Begin partitions at their starts: those that are new, or lie beyond their log's end."""
        ...

    async def claim_inbox(self, consumer: str, topic: str, event_ids: Sequence[UUID]) -> set[UUID]:
        """Record the ids of a topic's events as handled; return those that are new."""
        ...

    async def add_to_outbox(self, records: Sequence[ProducerRecord]) -> list[OutboxRow]:
        """Insert the records into the outbox, claimed by this process."""
        ...

    async def record_dead_letters(
        self, consumer: str, letters: Sequence[DeadLetter]
    ) -> list[DeadLetter]:
        """Record the dead letters; return those that are new by topic, partition and offset."""
        ...


class Database(Protocol):
    """The source of transactions, and the outbox outside of them."""

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
        """Count the records in the outbox."""
        ...


@dataclass(frozen=True, slots=True)
class ProducerBatch:
    """Records that go to the broker together and are acknowledged together."""

    indices: Sequence[int]
    """The positions of its records in the argument of `build_batches`."""
    send: Callable[[], Awaitable[Future[Any]]]
    """Passes it to the producer; the future ends with the broker's acknowledgement.

    Raises Rejected where it can never be sent; the future raises it where the broker refuses.
    """
    ordering_key: str = ""
    """Topic and partition: batches with the same key keep their order."""


class Publisher(Protocol):
    """Publishes records to the broker."""

    async def build_batches(self, records: Sequence[ProducerRecord]) -> Sequence[ProducerBatch]:
        """Build batches of records, to be sent in this order; each key's order is kept."""
        ...


class Source(Protocol):
    """Reads records from the broker, for one consumer."""

    async def poll(self, limit: int, timeout_s: float) -> Sequence[Record]:
        """Return the next records, in order within each partition."""
        ...

    def done(self, records: Sequence[Record]) -> None:
        """Record everything up to these records as handled; offset commits follow."""
        ...

    async def idle(self, seconds: float, stopping: Event) -> None:
        """Stay a member of the group without taking records, for a time or until the stop."""
        ...


class WorkTable(Protocol):
    """A table of rows that are due at a time."""

    name: str

    async def claim(self, tx: Any, limit: int, lease_s: float) -> Sequence[Due[Any]]:
        """Lease due rows, without those that other workers hold."""
        ...

    async def still_mine(self, tx: Any, due: Sequence[Due[Any]]) -> set[UUID]:
        """Lock the rows; return the ids of those whose lease epoch has not changed."""
        ...

    async def park(self, tx: Any, due: Due[Any], error: str) -> None:
        """Park the row for a person; it is never deleted."""
        ...
