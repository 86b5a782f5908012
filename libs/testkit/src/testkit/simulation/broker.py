"""A broker in memory: partitions, groups, and the faults of producing and consuming.

Acknowledged records are never lost. Unacknowledged records are lost with their producer.
"""

import asyncio
from collections import defaultdict, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any
from zlib import crc32

from service_runtime.messages import Partition, ProducerRecord, Record
from service_runtime.ports import ProducerBatch
from service_runtime.positions import Extent, Positions
from service_runtime.relay import pause
from testkit.memory import singly
from testkit.simulation.chance import Faults, SeededClock
from testkit.simulation.life import Life
from testkit.simulation.loop import VirtualLoop

PARTITIONS = 3
SESSION_S = 6.0
"""After this time without a heartbeat a member's partitions are reassigned."""
COMMIT_EVERY_S = 0.2
LATE_ACK_S = 14.0
LATE_S = 20.0
MOST_UNACKNOWLEDGED = 10_000


@dataclass
class Broker:
    """Topics and their consumer groups."""

    loop: VirtualLoop
    clock: SeededClock
    faults: Faults
    partitions: defaultdict[Partition, list[Record]] = field(
        default_factory=lambda: defaultdict(list)
    )
    groups: dict[str, "Group"] = field(default_factory=dict)
    watches: defaultdict[str, list[Callable[[Record], None]]] = field(
        default_factory=lambda: defaultdict(list)
    )
    """Callbacks for each record of a topic, without a group."""
    down_until_s: float = 0.0

    def append(self, outgoing: ProducerRecord) -> None:
        """Append a record; each group sees it after its own delay."""
        partition = outgoing.partition
        if partition is None:
            partition = crc32(outgoing.key or b"") % PARTITIONS
        log = self.partitions[outgoing.topic, partition]
        timestamp_ms = int(self.clock.now().timestamp() * 1000)
        record = Record(
            outgoing.topic,
            partition,
            len(log),
            timestamp_ms,
            outgoing.key,
            outgoing.value,
            outgoing.headers,
        )
        log.append(record)
        for group in self.groups.values():
            group.expect(record)
        for watch in self.watches[record.topic]:
            watch(record)

    def records(self, topic: str) -> list[Record]:
        """Return all records of a topic."""
        return [
            record
            for (name, _), log in sorted(self.partitions.items())
            if name == topic
            for record in log
        ]


class Group:
    """A consumer group: members, visible records, committed offsets."""

    def __init__(self, name: str, topics: Sequence[str], broker: Broker) -> None:
        self.name = name
        self.partitions = [(topic, number) for topic in topics for number in range(PARTITIONS)]
        self.visible: dict[Partition, int] = dict.fromkeys(self.partitions, 0)
        self.committed: dict[Partition, int] = dict.fromkeys(self.partitions, 0)
        self.members: dict[str, Life] = {}
        self.generation = 0
        self.news = asyncio.Event()
        self._broker = broker
        self._visible_from: dict[Partition, float] = {}
        broker.groups[name] = self

    def expect(self, record: Record) -> None:
        """Make a record visible to the group after its latency, in order."""
        place = record.topic, record.partition
        if place not in self.visible:
            return
        faults, loop = self._broker.faults, self._broker.loop
        hop_s = faults.chance.random() * LATE_S if faults.has(faults.rates.late) else faults.hop_s()
        at_s = max(self._visible_from.get(place, 0.0), loop.time() + hop_s)
        self._visible_from[place] = at_s
        loop.call_at(at_s, self._show, place, record.offset + 1)

    def _show(self, place: Partition, end: int) -> None:
        self.visible[place] = max(self.visible[place], end)
        self.news.set()

    def join(self, life: Life) -> None:
        """Add a member; a known member keeps its partitions."""
        known = life.member in self.members
        self.members[life.member] = life
        life.on_still.append(lambda: self._watch(life))
        if not known:
            self.reassign()

    def _watch(self, life: Life) -> None:
        self._broker.loop.call_later(SESSION_S, self._expel, life)

    def _expel(self, life: Life) -> None:
        if life.is_still and self.members.get(life.member) is life:
            del self.members[life.member]
            self.reassign()

    def reassign(self) -> None:
        """Reassign the partitions."""
        self.generation += 1
        self.news.set()

    def rewind(self) -> None:
        """Reset all offsets, so that the group reads everything again."""
        self.committed = dict.fromkeys(self.partitions, 0)
        self.reassign()

    def of(self, life: Life) -> list[Partition]:
        """Return the assigned partitions of a process."""
        members = sorted(self.members)
        if self.members.get(life.member) is not life:
            return []
        share = members.index(life.member)
        return self.partitions[share :: len(members)]

    def extent(self, place: Partition) -> Extent:
        """Return a partition's log and the group's committed offset."""
        return Extent(0, len(self._broker.partitions[place]), self.committed[place])

    def commit(self, life: Life, offsets: dict[Partition, int]) -> None:
        """Commit offsets; those of a former owner are ignored."""
        for place in self.of(life):
            self.committed[place] = max(self.committed[place], offsets.get(place, 0))

    @property
    def lag(self) -> int:
        """The number of uncommitted records."""
        return sum(
            len(self._broker.partitions[place]) - self.committed[place] for place in self.partitions
        )


class SimulatedSource:
    """A process's consumer."""

    def __init__(self, group: Group, life: Life, broker: Broker, positions: Positions) -> None:
        self._group = group
        self._positions = positions
        self._life = life
        self._broker = broker
        self._generation = -1
        self._position: dict[Partition, int] = {}
        self._handled: dict[Partition, int] = {}
        self._is_committing = False
        group.join(life)

    async def poll(self, limit: int, _timeout_s: float) -> list[Record]:
        """Wait for records; an idle poll waits until the next one."""
        while True:
            await self._life.point("poll")
            await self._follow()
            if found := self._take(limit):
                await self._life.point("polled")
                return found
            self._group.news.clear()
            await self._group.news.wait()

    async def _follow(self) -> None:
        """Read on where the database says after a reassignment."""
        group, faults = self._group, self._broker.faults
        if faults.has(faults.rates.reassignment):
            group.reassign()
        if self._life.member not in group.members:
            group.join(self._life)
        if self._generation != group.generation:
            generation, self._handled, self._position = group.generation, {}, {}
            logs = {place: group.extent(place) for place in group.of(self._life)}
            self._position = await self._positions.begin(logs)
            self._generation = generation
            self._handled = dict(self._position)
            self._commit_soon()

    def _take(self, limit: int) -> list[Record]:
        places = list(self._position)
        self._broker.faults.chance.shuffle(places)
        found: list[Record] = []
        for place in places:
            start = self._position[place]
            end = min(self._group.visible[place], start + limit - len(found))
            found += self._broker.partitions[place][start:end]
            self._position[place] = max(start, end)
        return found

    def done(self, records: Sequence[Record]) -> None:
        if not self._life.pass_by("offset"):
            return
        for record in records:
            place = record.topic, record.partition
            self._handled[place] = max(self._handled.get(place, 0), record.offset + 1)
        self._commit_soon()

    def _commit_soon(self) -> None:
        if not self._is_committing:
            self._is_committing = True
            self._broker.loop.call_later(COMMIT_EVERY_S, self._commit)

    def _commit(self) -> None:
        self._is_committing = False
        if self._life.is_dead:
            return
        if self._life.is_still:
            self._commit_soon()
        elif self._generation == self._group.generation:
            self._group.commit(self._life, self._handled)

    async def idle(self, seconds: float, stopping: asyncio.Event) -> None:
        await pause(stopping, seconds)


class SimulatedProducer:
    """A process's producer: in order, with unlimited retries, lost with the process."""

    def __init__(self, broker: Broker, life: Life) -> None:
        self._broker = broker
        self._life = life
        self._buffer: deque[tuple[ProducerRecord, asyncio.Future[Any]]] = deque()

    @property
    def is_empty(self) -> bool:
        """Whether the broker has acknowledged all records."""
        return not self._buffer

    async def build_batches(self, records: Sequence[ProducerRecord]) -> list[ProducerBatch]:
        return singly(self.send, records)

    async def send(self, outgoing: ProducerRecord) -> asyncio.Future[Any]:
        await self._life.point("send")
        future: asyncio.Future[Any] = self._broker.loop.create_future()
        self._buffer.append((outgoing, future))
        if len(self._buffer) > MOST_UNACKNOWLEDGED:
            raise RuntimeError("a producer's buffer has no bound")
        if len(self._buffer) == 1:
            self._broker.loop.call_later(self._broker.faults.hop_s(), self._land)
        await self._life.point("sent")
        return future

    def _land(self) -> None:
        """Append the head of the buffer once process and broker are up."""
        broker, loop = self._broker, self._broker.loop
        if self._life.is_dead or not self._buffer:
            return
        if self._life.is_still or loop.time() < broker.down_until_s:
            loop.call_later(0.5, self._land)
            return
        outgoing, future = self._buffer.popleft()
        broker.append(outgoing)
        if broker.faults.has(broker.faults.rates.duplicate):
            broker.append(outgoing)
        late = broker.faults.has(broker.faults.rates.late_ack)
        loop.call_later(LATE_ACK_S if late else 0.0, _acknowledge, future)
        if self._buffer:
            loop.call_later(broker.faults.hop_s(), self._land)


def _acknowledge(future: asyncio.Future[Any]) -> None:
    if not future.done():
        future.set_result(None)
