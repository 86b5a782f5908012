"""The consumer: poll, decode each, gather once, one transaction a handler with its offsets."""

import asyncio
import re
from collections import defaultdict
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from payment_schemas.cloudevents import (
    Attributes,
    MalformedRecordError,
    read_attributes,
    read_event,
)
from payment_schemas.events.base import Event
from service_runtime import metrics, tracing
from service_runtime.backoff import delay_s
from service_runtime.clock import Clock
from service_runtime.dead_letters import outgoing_of
from service_runtime.errors import Consequence, ServiceError, Unavailable, consequence_of
from service_runtime.gathering import Gather, Gathered, gather_for
from service_runtime.logs import Log
from service_runtime.message_macs import MessageMacs
from service_runtime.messages import Batch, Cause, Events, ProducerRecord, Received, Record
from service_runtime.ports import DeadLetter, Source
from service_runtime.unit_of_work import UnitOfWork

POLL_S = 0.2
MEMBERSHIP_EVERY_S = 30.0
"""A tenth of the maximum poll interval, past which the group removes a member."""

_log = Log("consumer")
_sizes = metrics.histogram(
    "consumer_batch_size", "Records handled together.", metrics.SIZE_BUCKETS, unit=""
)
_ages = metrics.histogram("event_age", "Produced to handled, oldest of a batch.")
_dead = metrics.counter("dead_letter", "Records that became dead letters.")
_repeated = metrics.counter("record_repeated", "Records that were dropped as handled before.")

Handle = Callable[[Batch[Any, Any], Any], Awaitable[Events]]


@dataclass(frozen=True, slots=True)
class Handler:
    """The handling of an event: look-ups at other services, then the handler on its store."""

    event: type[Event] | None
    """None: it handles the topics of its pattern."""
    handle: Handle
    """Takes the batch and the store; returns events."""
    store: Callable[[Any], Any]
    """Returns the store of a transaction."""
    gather: Gather | None = None
    """Look-ups before the transaction, once a batch: a value or an error for each record."""
    after_commit: Sequence[Callable[[Sequence[Received[Any]]], None]] = ()
    """Callbacks that run after the commit with the received events; used to wake workers."""
    inbox: bool = False
    """Whether an event that comes again at another offset is dropped by its id. Without it, the
    handler is idempotent by a natural key."""
    also: Sequence[type[Event]] = ()
    """More events, of which it handles those of one poll in the same transaction."""
    read: Callable[[str, Record], Any] | None = None
    """Reads a record of a type as what the handler takes.

    None: as its event, validated; without an event, as its type.
    """
    pattern: str | None = None
    """A regular expression of topics of others, which may be created while the process runs."""
    every_s: float = 0.0
    """Shortest time between two reads of a partition, so that more records are handled together:
    for those that no customer waits for, beside others that one waits for."""

    @property
    def events(self) -> Sequence[type[Event]]:
        """The events that it handles."""
        return [*([self.event] if self.event else []), *self.also]


@dataclass(frozen=True, slots=True)
class _OffsetStep:
    """The step of a handler on received events, claimed by their offsets."""

    consumer: str
    handler: Handler
    clock: Clock
    gathered: Gathered
    between: Callable[[], Coroutine[Any, Any, None]]

    async def claim(self, tx: Any, items: Sequence[Received[Any]]) -> list[Received[Any]]:
        new = await _claim(tx, self.consumer, items, are_handled=True)
        if self.handler.inbox and new:
            ids = [item.cause.id for item in new]
            fresh = await tx.claim_inbox(self.consumer, new[0].record.topic, ids)
            # An event may be twice in one batch; the first record counts.
            new = [i for i in new if i.cause.id in fresh and not fresh.discard(i.cause.id)]
        if len(new) < len(items):
            self._mark_repeated(items, new)
        return new

    def _mark_repeated(self, items: Sequence[Received[Any]], new: Sequence[Received[Any]]) -> None:
        kept = {id(item) for item in new}
        for item in items:
            if id(item) not in kept:
                _repeated.add(1, {"topic": item.record.topic})
                tracing.mark(item.cause.id, duplicate=True)

    async def handle(self, tx: Any, batch: Batch[Any, Any]) -> Events:
        self.gathered.require(batch)
        return await self.handler.handle(batch, self.handler.store(tx))

    async def give_up(
        self, tx: Any, item: Received[Any], error: Exception, attempts: int
    ) -> list[ProducerRecord]:
        if not await _claim(tx, self.consumer, [item], are_handled=False):
            return []
        reason = error.reason if isinstance(error, ServiceError) else "failed"
        tracing.mark_failed(item.cause.id, type(error).__qualname__, f"dead letter: {reason}")
        letter = DeadLetter(
            item.record, reason, type(error).__qualname__, attempts, self.clock.now()
        )
        return await _record_dead_letters(tx, self.consumer, [letter])


@dataclass(slots=True)
class _Group:
    """The decoded records of one handler in one poll, with their look-ups, which run once."""

    received: Sequence[Received[Any]]
    letters: Sequence[DeadLetter]
    unreadable: Sequence[Record]
    """The letters' records: offsets are raised over them once all others are handled."""
    gathered: Gathered | None = None


@dataclass(frozen=True, slots=True)
class _DeadLetterWrite:
    """A write of dead letters for records that are no events."""

    consumer: str
    letters: Sequence[DeadLetter]

    async def __call__(self, tx: Any) -> list[ProducerRecord]:
        return await _record_dead_letters(tx, self.consumer, self.letters)


async def _claim(
    tx: Any, consumer: str, items: Sequence[Received[Any]], *, are_handled: bool
) -> list[Received[Any]]:
    """Raise the offsets behind the items; return those that were not handled before."""
    records = [item.record for item in items]
    before = await tx.raise_offsets(consumer, records, are_handled=are_handled)
    try:
        return [item for item in items if item.record.offset >= before[item.record.place]]
    except KeyError as error:
        # The table was changed by hand: the source must read on where the table says.
        raise Unavailable(f"offsets of {error} are unknown: restart the service") from None


async def _record_dead_letters(
    tx: Any, consumer: str, letters: Sequence[DeadLetter]
) -> list[ProducerRecord]:
    new = await tx.record_dead_letters(consumer, letters)
    for letter in new:
        _dead.add(1, {"topic": letter.record.topic, "reason": letter.reason})
        _log.error(
            "dead_letter",
            topic=letter.record.topic,
            partition=letter.record.partition,
            offset=letter.record.offset,
            reason=letter.reason,
            error_class=letter.error_class,
        )
    return [outgoing_of(letter, consumer) for letter in new]


class Consumer:
    """The service's only consumer, of all its topics in a fixed order."""

    def __init__(
        self, name: str, source: Source, unit: UnitOfWork, handlers: Sequence[Handler], clock: Clock
    ) -> None:
        self._name = name
        self._source = source
        self._unit = unit
        self._handlers = handlers
        self._numbers = {
            event.topic: number
            for number, handler in enumerate(handlers)
            for event in handler.events
        }
        self._patterns = [
            (re.compile(handler.pattern), number)
            for number, handler in enumerate(handlers)
            if handler.pattern
        ]
        self._clock = clock
        self.batch_records = 500
        self.macs = MessageMacs()
        self._polled_s = 0.0

    @property
    def topics(self) -> list[str]:
        """The topics, in the order in which the records of a poll are handled."""
        return list(self._numbers)

    async def run(self, stopping: asyncio.Event) -> None:
        """Consume until the stop; unfinished records are read again."""
        while not stopping.is_set():
            records = await self._poll(stopping)
            self._polled_s = _time_s()
            if records and await self._handle_all(records, stopping):
                self._source.done(records)

    async def _poll(self, stopping: asyncio.Event) -> Sequence[Record]:
        """Return the next records; none where the offsets to read from cannot be learned now."""
        try:
            return await self._source.poll(self.batch_records, POLL_S)
        except Exception as error:
            if consequence_of(error) is not Consequence.WAIT:
                raise
            wait_s = delay_s(1, self._clock)
            _log.warning("waiting", error_class=type(error).__qualname__, delay_s=wait_s)
            await self._source.idle(wait_s, stopping)
            return ()

    async def _handle_all(self, records: Sequence[Record], stopping: asyncio.Event) -> bool:
        """Handle a poll handler by handler; return False if the stop comes first."""
        of_handler: defaultdict[int, list[Record]] = defaultdict(list)
        for record in records:
            of_handler[self._number_of(record.topic)].append(record)
        for number, handler in enumerate(self._handlers):
            found = of_handler[number]
            if found and not await self._until_done(handler, found, stopping):
                return False
        return True

    def _number_of(self, topic: str) -> int:
        """Return the number of the topic's handler."""
        if topic not in self._numbers:
            return next(number for pattern, number in self._patterns if pattern.fullmatch(topic))
        return self._numbers[topic]

    async def _until_done(
        self, handler: Handler, records: Sequence[Record], stopping: asyncio.Event
    ) -> bool:
        """Retry the same records, in order, for as long as a dependency is down."""
        attempt = 0
        group = self._decode(handler, records)
        while not stopping.is_set():
            try:
                await self._handle(handler, group, attempt)
            except Unavailable as error:
                attempt += 1
                wait_s = delay_s(attempt, self._clock)
                _log.warning("waiting", reason=str(error), attempts=attempt, delay_s=wait_s)
                await self._source.idle(wait_s, stopping)
            else:
                return True
        return False

    async def _handle(self, handler: Handler, group: _Group, attempt: int) -> None:
        if group.letters:
            await self._unit.record_dead_letters(_DeadLetterWrite(self._name, group.letters))
            group.letters = ()
        if group.received:
            await self._handle_events(handler, group, attempt)
        if group.unreadable:
            await self._unit.record_dead_letters(partial(self._pass_over, group.unreadable))

    async def _pass_over(self, records: Sequence[Record], tx: Any) -> Sequence[ProducerRecord]:
        await tx.raise_offsets(self._name, records, are_handled=False)
        return ()

    async def _handle_events(self, handler: Handler, group: _Group, attempt: int) -> None:
        now = self._clock.now()
        with tracing.processing(group.received, now.timestamp(), self._name) as received:
            for item in received if attempt else ():
                tracing.mark(item.cause.id, attempt=attempt)
            if group.gathered is None:
                self._observe(received)
                group.gathered = await gather_for(handler.gather, Batch(received, now))
            step = _OffsetStep(
                self._name, handler, self._clock, group.gathered, self._keep_membership
            )
            await self._unit.carry_out(step, received, group.gathered.lookups)
        for wake in handler.after_commit:
            wake(group.received)

    async def _keep_membership(self) -> None:
        """Poll without taking records, so that the group keeps this member."""
        if _time_s() - self._polled_s >= MEMBERSHIP_EVERY_S:
            await self._source.idle(0, asyncio.Event())
            self._polled_s = _time_s()

    def _decode(self, handler: Handler, records: Sequence[Record]) -> _Group:
        """Validate each record alone: a bad one does not affect the others."""
        received, letters = [], []
        by_default: Callable[[str, Record], Any] = _event_of if handler.event else _type_of
        read = handler.read or by_default
        for record in records:
            try:
                ce_type, attributes = _attributes_of(record)
                self.macs.verify(record.topic, record.headers, record.value)
                event = read(ce_type, record)
            except MalformedRecordError as error:
                letters.append(
                    DeadLetter(record, error.reason, type(error).__qualname__, 1, self._clock.now())
                )
            else:
                cause = Cause(attributes.id, attributes.trace)
                received.append(Received(event, cause, attributes.time, record))
        return _Group(received, letters, [letter.record for letter in letters])

    def _observe(self, received: Sequence[Received[Any]]) -> None:
        now_s = self._clock.now().timestamp()
        oldest: dict[str, int] = {}
        for item in received:
            topic, at_ms = item.record.topic, item.record.timestamp_ms
            oldest[topic] = min(at_ms, oldest.get(topic, at_ms))
        _sizes.record(len(received), {"topic": received[0].record.topic})
        for topic, at_ms in oldest.items():
            _ages.record(max(0.0, now_s - at_ms / 1000), {"topic": topic})


def _event_of(ce_type: str, record: Record) -> Event:
    return read_event(ce_type, record.topic, record.value)


def _type_of(ce_type: str, _record: Record) -> str:
    return ce_type


def _attributes_of(record: Record) -> tuple[str, Attributes]:
    if not record.is_readable:
        raise MalformedRecordError("header", "a header's name is not UTF-8")
    return read_attributes(record.headers)


def _time_s() -> float:
    return asyncio.get_running_loop().time()
