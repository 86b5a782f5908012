"""A topic that every process reads in full, from its end on: without group and offsets."""

import asyncio
import time
from collections.abc import Callable, Collection
from typing import Generic, Self, TypeVar

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import NoOffsetForPartitionError, OffsetOutOfRangeError

from payment_schemas.cloudevents import Headers, MalformedRecordError, read_event
from payment_schemas.events.base import Event
from service_runtime import metrics
from service_runtime.brokers import Brokers
from service_runtime.errors import Unavailable
from service_runtime.kafka_clients import START_WITHIN_S, ended, start_within
from service_runtime.logs import Log
from service_runtime.message_macs import MessageMacs

POLL_MS = 200
SILENT_AFTER_S = 5.0
"""Without a response of the broker for so long, news may be missing. An idle one responds each
`POLL_MS`."""

_log = Log("broadcast")
_skipped = metrics.counter("record_skipped", "Records of broadcasts that were skipped, by reason.")
E = TypeVar("E", bound=Event)


class Broadcast(Generic[E]):
    """Passes the events of a topic to a function, which must not block and must not fail.

    For what only the running process needs: replies that it waits for, or news for its open
    connections. Records from before the start are not read. After a time without a broker, reading
    goes on where it was, or at the end where records have been deleted meanwhile: `missed`.
    """

    def __init__(
        self,
        brokers: Brokers,
        event: type[E],
        receive: Callable[[E], None],
        partitions: Collection[int] | None = None,
        macs: MessageMacs | None = None,
    ) -> None:
        """Read these partitions, or all of them. A record without a valid MAC is skipped."""
        self._brokers = brokers
        self._event = event
        self._receive = receive
        self._partitions = partitions
        self._macs = macs or MessageMacs()
        self._consumer: AIOKafkaConsumer | None = None

    async def __aenter__(self) -> Self:
        topic = self._event.topic
        consumer = AIOKafkaConsumer(
            *(() if self._partitions else (topic,)),
            **self._brokers.arguments,
            enable_auto_commit=False,
            # A reset is ours to notice: records are missing then.
            auto_offset_reset="none",
            fetch_max_wait_ms=POLL_MS,
        )
        await start_within(consumer, self._brokers)
        if self._partitions:
            consumer.assign([TopicPartition(topic, number) for number in self._partitions])
        # Ready only when the ends are known: a record that arrives before would be missed.
        async with asyncio.timeout(START_WITHIN_S):
            await consumer.seek_to_end()
            for partition in consumer.assignment():
                await consumer.position(partition)
        self._consumer = consumer
        return self

    async def __aexit__(self, *_error: object) -> None:
        if self._consumer is not None:
            await ended(self._consumer.stop())

    def wants(self, _key: bytes | None) -> bool:
        """Return by its key whether a record is worth parsing."""
        return True

    def missed(self) -> None:
        """Take notice that records were deleted before they were read."""

    async def ready(self) -> bool:
        """Return whether the ends of the partitions are known."""
        return self._consumer is not None

    async def run(self, stopping: asyncio.Event) -> None:
        """Read until the process stops."""
        while not stopping.is_set():
            await self.poll()

    async def poll(self) -> None:
        """Read what arrives within a short time."""
        if self._consumer is None:
            raise Unavailable("the broadcast is not started")
        try:
            found = await self._consumer.getmany(timeout_ms=POLL_MS)
        except OffsetOutOfRangeError as error:
            await self._consumer.seek_to_end(*error.args[0])
            _log.warning("records_missed", topic=self._event.topic)
            self.missed()
            return
        except NoOffsetForPartitionError as error:
            # Added to the topic while the process runs: all of it is new.
            await self._consumer.seek_to_beginning(error.args[0])
            return
        for records in found.values():
            for record in records:
                if self.wants(record.key):
                    self._pass_on(tuple(record.headers), record.value)

    @property
    def is_current(self) -> bool:
        """Whether the broker has responded for every partition a short time ago."""
        consumer, oldest_ms = self._consumer, (time.time() - SILENT_AFTER_S) * 1000
        return consumer is not None and all(
            (consumer.last_poll_timestamp(one) or 0) > oldest_ms for one in consumer.assignment()
        )

    def _pass_on(self, headers: Headers, value: bytes | None) -> None:
        topic = self._event.topic
        try:
            self._macs.verify(topic, headers, value)
            event = read_event(self._event.ce_type, topic, value)
        except MalformedRecordError as error:
            _skipped.add(1, {"topic": topic, "reason": error.reason})
            _log.warning("record_skipped", topic=topic, reason=error.reason)
            return
        if isinstance(event, self._event):
            self._receive(event)
