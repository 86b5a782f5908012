"""Kafka by aiokafka: one static group member a service; start and stop of clients.

FastStream only describes the topics (see asyncapi.py): its publisher cannot carry the null and
non-UTF-8 headers of a dead letter, and its subscriber sleeps after an empty poll.
"""

import asyncio
from collections.abc import Collection, Coroutine, Sequence
from typing import Any, Self

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRebalanceListener, TopicPartition
from aiokafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor
from aiokafka.errors import (
    CommitFailedError,
    IllegalStateError,
    KafkaConnectionError,
    KafkaError,
)

from service_runtime import fetched
from service_runtime.errors import Unavailable
from service_runtime.logs import Log
from service_runtime.messages import Record
from service_runtime.relay import pause
from service_runtime.settings import ServiceSettings

SESSION_TIMEOUT_MS = 6000
MAX_POLL_INTERVAL_MS = 300_000
CONSUMER_REQUEST_TIMEOUT_MS = 10_000
START_WITHIN_S = 60
START_RETRY_S = 0.5
STOP_WITHIN_S = 2
IDLE_POLL_S = 0.5
IDLE_FETCH_MS = 500
"""How long the broker may hold a fetch without records."""
FETCH_MIN_BYTES = 1024 * 1024
COMMIT_EVERY_S = 0.5
"""Delay of offset commits; the inbox drops what a crash repeats."""

_log = Log("kafka")
fetched.install()


class KafkaSource:
    """The service's only group member: static id, explicit offset commits, no topic creation."""

    def __init__(self, settings: ServiceSettings, group: str, topics: Sequence[str]) -> None:
        self._settings = settings
        self._group = group
        self._member = f"{group}.{settings.instance}"
        self._topics = topics
        self._consumer: AIOKafkaConsumer | None = None
        self._handled: dict[TopicPartition, int] = {}
        self._joined = False

    async def __aenter__(self) -> Self:
        max_wait_ms = self._settings.fetch_max_wait_ms
        self._consumer = AIOKafkaConsumer(
            bootstrap_servers=self._settings.kafka_bootstrap_servers,
            client_id=self._member,
            fetch_min_bytes=FETCH_MIN_BYTES if max_wait_ms else 1,
            fetch_max_wait_ms=max_wait_ms or IDLE_FETCH_MS,
            group_id=self._group,
            group_instance_id=self._member,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            session_timeout_ms=SESSION_TIMEOUT_MS,
            heartbeat_interval_ms=SESSION_TIMEOUT_MS // 3,
            max_poll_interval_ms=MAX_POLL_INTERVAL_MS,
            request_timeout_ms=CONSUMER_REQUEST_TIMEOUT_MS,
            partition_assignment_strategy=[RoundRobinPartitionAssignor],
        )
        self._consumer.subscribe(self._topics, listener=_Rebalance(self))
        await start_within(self._consumer)
        return self

    async def __aexit__(self, *_error: object) -> None:
        if self._consumer is not None:
            await ended(self.commit())
            await ended(self._consumer.stop())

    @property
    def _client(self) -> AIOKafkaConsumer:
        if self._consumer is None:
            raise Unavailable("consumer is not started")
        return self._consumer

    async def poll(self, limit: int, timeout_s: float) -> list[Record]:
        """Return the next records, in order within each partition."""
        found = await self._client.getmany(timeout_ms=int(timeout_s * 1000), max_records=limit)
        return [_record(record) for records in found.values() for record in records]

    def done(self, records: Sequence[Record]) -> None:
        """Record everything up to these records as handled; offset commits follow."""
        for record in records:
            partition = TopicPartition(record.topic, record.partition)
            self._handled[partition] = record.offset + 1

    async def idle(self, seconds: float, stopping: asyncio.Event) -> None:
        """Poll without taking records: the group removes a member that does not poll."""
        consumer = self._client
        paused = consumer.assignment()
        consumer.pause(*paused)
        deadline = asyncio.get_running_loop().time() + seconds
        left_s = seconds
        while left_s >= 0 and not stopping.is_set():
            timeout_ms = max(1, int(min(left_s, IDLE_POLL_S) * 1000))
            for partition, records in (await consumer.getmany(timeout_ms=timeout_ms)).items():
                # Assigned during the wait: seek back, so that the records are polled later.
                consumer.seek(partition, records[0].offset)
                consumer.pause(partition)
                paused |= {partition}
            left_s = deadline - asyncio.get_running_loop().time()
        consumer.resume(*(paused & consumer.assignment()))

    async def run(self, stopping: asyncio.Event) -> None:
        """Commit offsets at an interval until the stop.

        A commit waits for an unreachable broker; the stop does not wait for the commit.
        """
        while not stopping.is_set():
            await pause(stopping, COMMIT_EVERY_S)
            await _unless(stopping, self.commit())

    async def commit(self) -> None:
        """Commit the handled offsets; after a failed commit the inbox drops the repeats."""
        assigned = self._client.assignment()
        offsets = {tp: offset for tp, offset in self._handled.items() if tp in assigned}
        self._handled = {}
        if not offsets:
            return
        try:
            await self._client.commit(offsets)
        except (CommitFailedError, IllegalStateError):
            _log.warning("offsets_moved_on", count=len(offsets))
        except KafkaError as error:
            self._handled = {**offsets, **self._handled}
            _log.warning("offsets_delayed", error_class=type(error).__qualname__)

    async def revoked(self, partitions: Collection[TopicPartition]) -> None:
        """Commit before the partitions are reassigned; not ready until the next assignment."""
        if partitions:
            self._joined = False
            await self.commit()

    def joined(self, partitions: int) -> None:
        """Record that the group has assigned partitions."""
        self._joined = True
        _log.info("assigned", count=partitions)

    async def assigned(self) -> bool:
        """Return whether the group has assigned this member its partitions, which may be none."""
        return self._joined


class _Rebalance(ConsumerRebalanceListener):  # type: ignore[misc]
    """Commits before partitions are reassigned, so that fewer records repeat."""

    def __init__(self, source: KafkaSource) -> None:
        self._source = source

    async def on_partitions_revoked(self, revoked: Collection[TopicPartition]) -> None:
        await self._source.revoked(revoked)

    async def on_partitions_assigned(self, assigned: Collection[TopicPartition]) -> None:
        self._source.joined(len(assigned))


async def ended(work: Coroutine[Any, Any, None]) -> None:
    """Run a step of the stop in a task of its own, with a timeout.

    aiokafka cancels its own tasks and awaits them. Without a broker its `stop` raises their
    CancelledError, as if the caller were cancelled.
    """
    task = asyncio.create_task(work)
    await asyncio.wait({task}, timeout=STOP_WITHIN_S)
    if not task.done():
        task.cancel()
        return
    error = None if task.cancelled() else task.exception()
    if error is not None and not isinstance(error, TimeoutError | KafkaError):
        raise error


async def _unless(stopping: asyncio.Event, work: Coroutine[Any, Any, None]) -> None:
    """Run the work to its end, or until the stop."""
    working, stopped = asyncio.create_task(work), asyncio.create_task(stopping.wait())
    try:
        await asyncio.wait({working, stopped}, return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            working.result()
    finally:
        for task in (working, stopped):
            task.cancel()


def _record(record: Any) -> Record:
    headers = tuple(record.headers)
    is_readable = all(fetched.is_readable(name) for name, _ in headers)
    if not is_readable:
        headers = tuple((fetched.readable(name), value) for name, value in headers)
    return Record(
        record.topic,
        record.partition,
        record.offset,
        record.timestamp,
        record.key,
        record.value,
        headers,
        is_readable=is_readable,
    )


async def start_within(client: AIOKafkaConsumer | AIOKafkaProducer) -> None:
    """Start a client; wait, with a timeout, for a broker that is still starting."""
    async with asyncio.timeout(START_WITHIN_S):
        while True:
            try:
                await client.start()
            except KafkaConnectionError:
                _log.warning("broker_awaited", delay_s=START_RETRY_S)
                await asyncio.sleep(START_RETRY_S)
            else:
                return
