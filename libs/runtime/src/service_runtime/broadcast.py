"""A topic that every process reads in full, from its end on: without group, offsets or inbox."""

import asyncio
from collections.abc import Callable, Collection
from typing import Generic, Self, TypeVar

from aiokafka import AIOKafkaConsumer, TopicPartition

from payment_schemas.cloudevents import MalformedRecordError, read_event
from payment_schemas.events.base import Event
from service_runtime.errors import Unavailable
from service_runtime.kafka import START_WITHIN_S, ended, start_within
from service_runtime.logs import Log

POLL_MS = 200

_log = Log("broadcast")
E = TypeVar("E", bound=Event)


class Broadcast(Generic[E]):
    """Passes the events of a topic to a function, which must not block and must not fail.

    For what only the running process needs: replies that it waits for, or news for its open
    connections. Records from before the start, or from a time without a broker, are not read.
    """

    def __init__(
        self,
        bootstrap_servers: str,
        event: type[E],
        receive: Callable[[E], None],
        partitions: Collection[int] | None = None,
    ) -> None:
        """Read these partitions, or all of them."""
        self._bootstrap_servers = bootstrap_servers
        self._event = event
        self._receive = receive
        self._partitions = partitions
        self._consumer: AIOKafkaConsumer | None = None

    async def __aenter__(self) -> Self:
        topic = self._event.topic
        consumer = AIOKafkaConsumer(
            *(() if self._partitions else (topic,)),
            bootstrap_servers=self._bootstrap_servers,
            enable_auto_commit=False,
            auto_offset_reset="latest",
            fetch_max_wait_ms=POLL_MS,
        )
        await start_within(consumer)
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
        found = await self._consumer.getmany(timeout_ms=POLL_MS)
        for records in found.values():
            for record in records:
                self._pass_on(record.value)

    def _pass_on(self, value: bytes | None) -> None:
        try:
            event = read_event(self._event.ce_type, self._event.topic, value)
        except MalformedRecordError as error:
            _log.warning("record_skipped", reason=error.reason)
            return
        if isinstance(event, self._event):
            self._receive(event)
