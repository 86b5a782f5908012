"""Memory twins of the runtime's ports. They pass the same contracts as the real adapters."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID

from service_runtime.clock import Clock
from service_runtime.consumed import spans_of
from service_runtime.messages import Cause, Due, Partition, ProducerRecord, Record, Trace
from service_runtime.outbox import CLAIM_S, bundles_of
from service_runtime.ports import DeadLetter, Lease, OutboxRow, ProducerBatch, Taker
from service_runtime.positions import Extent, Positions
from service_runtime.relay import pause
from service_runtime.work_table import INSERTED_LEASE_S


@dataclass(frozen=True, slots=True)
class Consumed:
    """The offsets of one partition that a consumer has handled."""

    first: int
    next: int
    handled: int = 0


@dataclass
class Tables:
    """The tables of one service's twin; a transaction works on a copy."""

    consumed: dict[tuple[str, Partition], Consumed] = field(default_factory=dict)
    inbox: set[tuple[str, str, UUID]] = field(default_factory=set)
    outbox: dict[int, tuple[OutboxRow, datetime]] = field(default_factory=dict)
    dead_letters: dict[tuple[str, int, int], DeadLetter] = field(default_factory=dict)
    own: defaultdict[str, dict[Any, Any]] = field(default_factory=lambda: defaultdict(dict))
    """A store's tables by name; rows are immutable values."""
    next_outbox_id: int = 1

    def copy(self) -> "Tables":
        """Return a copy with separate containers."""
        own = defaultdict(dict, {name: dict(rows) for name, rows in self.own.items()})
        return Tables(
            dict(self.consumed),
            set(self.inbox),
            dict(self.outbox),
            dict(self.dead_letters),
            own,
            self.next_outbox_id,
        )


class MemoryTransaction:
    """One transaction on the twin; `own` is for the stores."""

    def __init__(self, tables: Tables, clock: Clock) -> None:
        self.tables = tables
        self.clock = clock
        self.handed_over: list[tuple[Taker, Due[Any]]] = []

    @property
    def own(self) -> defaultdict[str, dict[Any, Any]]:
        """The store's tables."""
        return self.tables.own

    def schedule(
        self, table: str, row_id: UUID, due_at: datetime | None, trace: Trace | None = None
    ) -> None:
        """Set the due time of a work row, and end its lease. For the stores' twins."""
        leases = self.tables.own[f"{table}/lease"]
        lease: Lease = leases.get(row_id, Lease(due_at, trace=trace or ()))
        leases[row_id] = replace(lease, due_at=due_at, lease_until=None)

    def lease_added(self, table: str, row_id: UUID) -> None:
        """Lease a row that was just added. For the stores' twins."""
        until = self.clock.now() + timedelta(seconds=INSERTED_LEASE_S)
        leases = self.tables.own[f"{table}/lease"]
        leases[row_id] = replace(leases[row_id], lease_until=until, epoch=1, attempts=1)

    def mine(self, table: str, epochs: Mapping[UUID, int]) -> set[UUID]:
        """Return the ids of the rows whose lease epoch has not changed."""
        leases: dict[UUID, Lease] = self.tables.own[f"{table}/lease"]
        return {row_id for row_id, epoch in epochs.items() if leases[row_id].epoch == epoch}

    def overtake(self, table: str, row_id: UUID) -> None:
        """Preempt a work row's lease: its holder can write no more. For the stores' twins."""
        lease: Lease = self.tables.own[f"{table}/lease"][row_id]
        taken = replace(lease, epoch=lease.epoch + 1, lease_until=None)
        self.tables.own[f"{table}/lease"][row_id] = taken

    async def next_offsets(self, consumer: str) -> dict[Partition, int]:
        kept = self.tables.consumed
        return {place: row.next for (owner, place), row in kept.items() if owner == consumer}

    async def raise_offsets(
        self, consumer: str, records: Sequence[Record], *, are_handled: bool
    ) -> dict[Partition, int]:
        before = {}
        for place, span in spans_of(records).items():
            row = self.tables.consumed.get((consumer, place))
            if row is None:
                continue
            before[place] = row.next
            new = sum(one.place == place and one.offset >= row.next for one in records)
            self.tables.consumed[consumer, place] = replace(
                row, next=max(row.next, span.next), handled=row.handled + new * are_handled
            )
        return before

    async def place_offsets(
        self, consumer: str, starts: Mapping[Partition, int], ends: Mapping[Partition, int]
    ) -> None:
        for place, start in starts.items():
            row = self.tables.consumed.get((consumer, place))
            if row is None or row.next > ends[place]:
                self.tables.consumed[consumer, place] = Consumed(start, start)

    async def claim_inbox(self, consumer: str, topic: str, event_ids: Sequence[UUID]) -> set[UUID]:
        claims = {(consumer, topic, event_id) for event_id in event_ids} - self.tables.inbox
        self.tables.inbox |= claims
        return {event_id for _, _, event_id in claims}

    async def add_to_outbox(self, records: Sequence[ProducerRecord]) -> list[OutboxRow]:
        until = self.clock.now() + timedelta(seconds=CLAIM_S)
        stored = []
        for bundle in bundles_of(records):
            row = OutboxRow(self.tables.next_outbox_id, bundle)
            self.tables.next_outbox_id += 1
            self.tables.outbox[row.id] = (row, until)
            stored.append(row)
        return stored

    async def record_dead_letters(
        self, _consumer: str, letters: Sequence[DeadLetter]
    ) -> list[DeadLetter]:
        new = []
        for letter in letters:
            place = (letter.record.topic, letter.record.partition, letter.record.offset)
            if place not in self.tables.dead_letters:
                self.tables.dead_letters[place] = letter
                new.append(letter)
        return new


class MemoryDatabase:
    """Serial transactions, each all or nothing."""

    def __init__(self, clock: Clock) -> None:
        self.tables = Tables()
        self._clock = clock
        self._one_at_a_time = asyncio.Lock()

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[MemoryTransaction]:
        """Open a transaction: committed at the end of the block, rolled back on an error."""
        async with self._one_at_a_time:
            tx = MemoryTransaction(self.tables.copy(), self._clock)
            yield tx
            self.tables = tx.tables

    async def claim_outbox(self, limit: int) -> list[OutboxRow]:
        now = self._clock.now()
        late = [row for row, until in self.tables.outbox.values() if until < now][:limit]
        until = now + timedelta(seconds=CLAIM_S)
        self.tables.outbox.update({row.id: (row, until) for row in late})
        return late

    async def delete_outbox(self, ids: Sequence[int]) -> None:
        for row_id in ids:
            self.tables.outbox.pop(row_id, None)

    async def count_outbox(self) -> int:
        return sum(len(row.records) for row, _ in self.tables.outbox.values())


class MemoryWorkTable:
    """A work table's twin: rows in `own[name]`, leases in `own[name + "/lease"]`, both by id."""

    def __init__(self, name: str, only: Mapping[str, str] | None = None) -> None:
        self.name = name
        self._leases = f"{name}/lease"
        self._only = only or {}

    async def claim(self, tx: MemoryTransaction, limit: int, lease_s: float) -> list[Due[Any]]:
        now = tx.clock.now()
        leases: dict[UUID, Lease] = tx.own[self._leases]
        ready = [
            (lease.due_at, row_id)
            for row_id, lease in leases.items()
            if lease.due_at is not None
            and lease.due_at <= now
            and lease.parked is None
            and (lease.lease_until is None or lease.lease_until < now)
            and self._is_mine(tx.own[self.name][row_id])
        ]
        return [self._leased(tx, row_id, lease_s) for _, row_id in sorted(ready)[:limit]]

    def _is_mine(self, row: Any) -> bool:
        return all(getattr(row, column) == value for column, value in self._only.items())

    def _leased(self, tx: MemoryTransaction, row_id: UUID, lease_s: float) -> Due[Any]:
        lease: Lease = tx.own[self._leases][row_id]
        until = tx.clock.now() + timedelta(seconds=lease_s)
        epoch, attempts = lease.epoch + 1, lease.attempts + 1
        tx.own[self._leases][row_id] = Lease(
            lease.due_at, until, epoch, attempts, lease.parked, lease.trace
        )
        cause = Cause(row_id, lease.trace, str(epoch))
        return Due(tx.own[self.name][row_id], cause, epoch, attempts)

    async def still_mine(self, tx: MemoryTransaction, due: Sequence[Due[Any]]) -> set[UUID]:
        return tx.mine(self.name, {item.cause.id: item.epoch for item in due})

    async def park(self, tx: MemoryTransaction, due: Due[Any], error: str) -> None:
        lease: Lease = tx.own[self._leases][due.cause.id]
        if lease.epoch == due.epoch:
            tx.own[self._leases][due.cause.id] = Lease(
                lease.due_at, None, lease.epoch, lease.attempts, error, lease.trace
            )


def singly(
    send: Callable[[ProducerRecord], Awaitable[asyncio.Future[Any]]],
    records: Sequence[ProducerRecord],
) -> list[ProducerBatch]:
    """Return one batch a record, so that each can fail alone."""
    return [
        ProducerBatch([place], partial(send, record), record.topic)
        for place, record in enumerate(records)
    ]


class MemoryBroker:
    """Topics as lists with one partition each, in the order of sending."""

    def __init__(self, clock: Clock) -> None:
        self.topics: defaultdict[str, list[Record]] = defaultdict(list)
        self._clock = clock

    async def build_batches(self, records: Sequence[ProducerRecord]) -> list[ProducerBatch]:
        return singly(self.send, records)

    async def send(self, outgoing: ProducerRecord) -> asyncio.Future[Any]:
        """Append to the topic; acknowledged at once."""
        log = self.topics[outgoing.topic]
        log.append(
            Record(
                outgoing.topic,
                outgoing.partition or 0,
                len(log),
                int(self._clock.now().timestamp() * 1000),
                outgoing.key,
                outgoing.value,
                outgoing.headers,
            )
        )
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        future.set_result(None)
        return future


class MemorySource:
    """A consumer's view of the twin's topics."""

    def __init__(self, broker: MemoryBroker, topics: Sequence[str], positions: Positions) -> None:
        self._broker = broker
        self._positions = positions
        self._position: dict[str, int] = {}
        self.committed = dict.fromkeys(topics, 0)
        self.idled: list[float] = []
        self._dry: asyncio.Event | None = None

    async def poll(self, limit: int, timeout_s: float) -> list[Record]:
        if not self._position:
            await self.place()
        found: list[Record] = []
        for topic, position in self._position.items():
            new = self._broker.topics[topic][position:][: limit - len(found)]
            self._position[topic] = position + len(new)
            found += new
        if not found and self._dry is not None:
            self._dry.set()
        elif not found:
            await asyncio.sleep(timeout_s)
        return found

    async def place(self) -> None:
        """Read on where the database says, as at an assignment."""
        logs = {
            (topic, 0): Extent(0, len(self._broker.topics[topic]), committed)
            for topic, committed in self.committed.items()
        }
        starts = await self._positions.begin(logs)
        self._position = {topic: start for (topic, _), start in starts.items()}

    async def drain(self, consume: Callable[[asyncio.Event], Awaitable[None]]) -> None:
        """Run a consumer's loop until no record is left."""
        self._dry = asyncio.Event()
        await consume(self._dry)
        self._dry = None

    def done(self, records: Sequence[Record]) -> None:
        for record in records:
            self.committed[record.topic] = record.offset + 1

    async def idle(self, seconds: float, stopping: asyncio.Event) -> None:
        self.idled.append(seconds)
        await pause(stopping, seconds)

    def lose_offsets(self) -> None:
        """Read everything again, whatever was handled."""
        self._position = dict.fromkeys(self._position, 0)

    def crash(self) -> None:
        """Read on where a new process would."""
        self._position = {}


@dataclass
class SteadyClock:
    """A clock that the test advances; ids and texts count up, so that runs are reproducible."""

    time: datetime
    drawn: int = 0

    def now(self) -> datetime:
        return self.time

    def pass_time(self, **delta: float) -> None:
        """Advance by a timedelta's arguments."""
        self.time += timedelta(**delta)

    def new_id(self) -> UUID:
        self.drawn += 1
        return UUID(int=self.drawn, version=4)

    def jitter(self) -> float:
        return 0.0

    def text(self, alphabet: str, length: int) -> str:
        self.drawn += 1
        digits, number = [], self.drawn
        for _ in range(length):
            number, digit = divmod(number, len(alphabet))
            digits.append(alphabet[digit])
        return "".join(reversed(digits))
