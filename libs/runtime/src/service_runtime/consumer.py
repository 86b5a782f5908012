"""The consumer: poll, decode each, gather once, one transaction a topic, offset last."""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass
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
from service_runtime.errors import ServiceError, Unavailable
from service_runtime.gathering import Gather, Gathered, gather_for
from service_runtime.logs import Log
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

Handle = Callable[[Batch[Any, Any], Any], Awaitable[Events]]


@dataclass(frozen=True, slots=True)
class Handler:
    """The handling of one event: look-ups at other services, then the handler on its store."""

    event: type[Event]
    handle: Handle
    """Takes the batch and the store; returns events."""
    store: Callable[[Any], Any]
    """Returns the store of a transaction."""
    gather: Gather | None = None
    """Look-ups before the transaction, once a batch: a value or an error for each record."""
    after_commit: Sequence[Callable[[Sequence[Received[Any]]], None]] = ()
    """Callbacks that run after the commit with the received events; used to wake workers."""


@dataclass(frozen=True, slots=True)
class _InboxStep:
    """The step of a handler on received events, claimed by the inbox."""

    consumer: str
    handler: Handler
    clock: Clock
    gathered: Gathered
    between: Callable[[], Coroutine[Any, Any, None]]

    async def claim(self, tx: Any, items: Sequence[Received[Any]]) -> list[Received[Any]]:
        new = await tx.claim_inbox(self.consumer, [item.cause.id for item in items])
        for item in items:
            if item.cause.id not in new:
                tracing.mark(item.cause.id, duplicate=True)
        # An event may be twice in one batch; the first record counts.
        return [item for item in items if item.cause.id in new and not new.discard(item.cause.id)]

    async def handle(self, tx: Any, batch: Batch[Any, Any]) -> Events:
        self.gathered.require(batch)
        return await self.handler.handle(batch, self.handler.store(tx))

    async def give_up(
        self, tx: Any, item: Received[Any], error: Exception, attempts: int
    ) -> list[ProducerRecord]:
        reason = error.reason if isinstance(error, ServiceError) else "failed"
        tracing.mark_failed(item.cause.id, type(error).__qualname__, f"dead letter: {reason}")
        letter = DeadLetter(
            item.record, reason, type(error).__qualname__, attempts, self.clock.now()
        )
        return await _record_dead_letters(tx, self.consumer, [letter])


@dataclass(slots=True)
class _Group:
    """The decoded records of one topic in one poll, with their look-ups, which run once."""

    received: Sequence[Received[Any]]
    letters: Sequence[DeadLetter]
    gathered: Gathered | None = None


@dataclass(frozen=True, slots=True)
class _DeadLetterWrite:
    """A write of dead letters for records that are no events."""

    consumer: str
    letters: Sequence[DeadLetter]

    async def __call__(self, tx: Any) -> list[ProducerRecord]:
        return await _record_dead_letters(tx, self.consumer, self.letters)


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
        self._handlers = {handler.event.topic: handler for handler in handlers}
        self._clock = clock
        self.batch_records = 500
        self._polled_s = 0.0

    @property
    def topics(self) -> list[str]:
        """The topics, in the order in which the records of a poll are handled."""
        return list(self._handlers)

    async def run(self, stopping: asyncio.Event) -> None:
        """Consume until the stop; unfinished records are read again."""
        while not stopping.is_set():
            records = await self._source.poll(self.batch_records, POLL_S)
            self._polled_s = _time_s()
            if records and await self._handle_all(records, stopping):
                self._source.done(records)

    async def _handle_all(self, records: Sequence[Record], stopping: asyncio.Event) -> bool:
        """Handle a poll topic by topic; return False if the stop comes first."""
        of_topic: defaultdict[str, list[Record]] = defaultdict(list)
        for record in records:
            of_topic[record.topic].append(record)
        for topic, handler in self._handlers.items():
            found = of_topic[topic]
            if found and not await self._until_done(handler, found, stopping):
                return False
        return True

    async def _until_done(
        self, handler: Handler, records: Sequence[Record], stopping: asyncio.Event
    ) -> bool:
        """Retry the same records, in order, for as long as a dependency is down."""
        attempt = 0
        group = self._decode(records)
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
        if not group.received:
            return
        now = self._clock.now()
        with tracing.processing(group.received, now.timestamp(), self._name) as received:
            for item in received if attempt else ():
                tracing.mark(item.cause.id, attempt=attempt)
            if group.gathered is None:
                self._observe(received)
                group.gathered = await gather_for(handler.gather, Batch(received, now))
            step = _InboxStep(
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

    def _decode(self, records: Sequence[Record]) -> _Group:
        """Validate each record alone: a bad one does not affect the others."""
        received, letters = [], []
        for record in records:
            try:
                ce_type, attributes = _attributes_of(record)
                event = read_event(ce_type, record.topic, record.value)
            except MalformedRecordError as error:
                letters.append(
                    DeadLetter(record, error.reason, type(error).__qualname__, 1, self._clock.now())
                )
            else:
                cause = Cause(attributes.id, attributes.trace)
                received.append(Received(event, cause, attributes.time, record))
        return _Group(received, letters)

    def _observe(self, received: Sequence[Received[Any]]) -> None:
        topic = {"topic": received[0].record.topic}
        _sizes.record(len(received), topic)
        oldest = min(item.record.timestamp_ms for item in received)
        _ages.record(max(0.0, self._clock.now().timestamp() - oldest / 1000), topic)


def _attributes_of(record: Record) -> tuple[str, Attributes]:
    if not record.is_readable:
        raise MalformedRecordError("header", "a header's name is not UTF-8")
    return read_attributes(record.headers)


def _time_s() -> float:
    return asyncio.get_running_loop().time()
