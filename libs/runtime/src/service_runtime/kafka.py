"""Kafka by aiokafka: one static group member a service.

FastStream only describes the topics (see asyncapi.py): its publisher cannot carry the null and
non-UTF-8 headers of a dead letter, and its subscriber sleeps after an empty poll.
"""

import asyncio
import re
from collections.abc import Collection, Coroutine, Sequence
from typing import Any, Self

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor
from aiokafka.errors import (
    CommitFailedError,
    GroupAuthorizationFailedError,
    IllegalStateError,
    KafkaError,
    KafkaTimeoutError,
    NoOffsetForPartitionError,
    OffsetOutOfRangeError,
    TopicAuthorizationFailedError,
)

from service_runtime import fetched
from service_runtime.errors import Unavailable
from service_runtime.kafka_clients import ended, log_unauthorized, start_within
from service_runtime.logs import Log
from service_runtime.messages import Record
from service_runtime.patience import Patience
from service_runtime.positions import Extent, Positions
from service_runtime.relay import pause
from service_runtime.settings import ServiceSettings

SESSION_TIMEOUT_MS = 6000
MAX_POLL_INTERVAL_MS = 300_000
CONSUMER_REQUEST_TIMEOUT_MS = 10_000
UNAUTHORIZED = (GroupAuthorizationFailedError, TopicAuthorizationFailedError)
UNAUTHORIZED_RETRY_S = 2.0
IDLE_POLL_S = 0.5
METADATA_AGE_MS = 300_000
"""Kafka's usual age, after which a consumer looks for partitions that were added."""
NEW_TOPICS_WITHIN_MS = 5_000
"""The same where topics are found by pattern: a new partner does not wait for minutes."""
IDLE_FETCH_MS = 500
"""How long the broker may hold a fetch without records."""
FETCH_MIN_BYTES = 1024 * 1024
COMMIT_EVERY_S = 0.5
"""Of the offsets at the broker, which show the lag; the database has the ones that count."""

_log = Log("kafka")
fetched.install()


class KafkaSource:
    """The service's only group member: static id, explicit offset commits, no topic creation.

    `patterns`: more topics, which may be created while the process runs.
    """

    def __init__(
        self,
        settings: ServiceSettings,
        group: str,
        topics: Sequence[str],
        positions: Positions,
        patterns: Sequence[str] = (),
    ) -> None:
        self._settings = settings
        self._positions = positions
        self._group = group
        self._member = f"{group}.{settings.instance}"
        self._topics = topics
        self._patterns = patterns
        self.patience = Patience({})
        """Topics that are read at intervals."""
        self._consumer: AIOKafkaConsumer | None = None
        self._handled: dict[TopicPartition, int] = {}
        self._joined = False
        self._explained = ""
        self._unplaced: set[TopicPartition] = set()
        """Assigned partitions that are not yet read at the offsets of the database."""
        self._astray: set[TopicPartition] = set()
        """Partitions whose offset is not in their log."""

    async def __aenter__(self) -> Self:
        await self._start()
        return self

    async def _start(self) -> None:
        """Join the group; while the broker does not allow it, say why and try again."""
        while True:
            self._consumer = self._new_consumer()
            self._subscribe(self._consumer)
            try:
                await start_within(self._consumer, self._settings.brokers)
            except UNAUTHORIZED as error:
                await self._refused(error)
            else:
                return

    def _subscribe(self, consumer: AIOKafkaConsumer) -> None:
        """Subscribe by name; with patterns, by one pattern of all, which finds new topics."""
        listener = _Rebalance(self)
        if not self._patterns:
            consumer.subscribe(self._topics, listener=listener)
            return
        every = "|".join([*map(re.escape, self._topics), *self._patterns])
        consumer.subscribe(pattern=f"^(?:{every})$", listener=listener)

    def _new_consumer(self) -> AIOKafkaConsumer:
        max_wait_ms = self._settings.fetch_max_wait_ms
        return AIOKafkaConsumer(
            **self._settings.brokers.arguments,
            client_id=self._member,
            fetch_min_bytes=FETCH_MIN_BYTES if max_wait_ms else 1,
            fetch_max_wait_ms=max_wait_ms or IDLE_FETCH_MS,
            group_id=self._group,
            group_instance_id=self._member,
            enable_auto_commit=False,
            auto_offset_reset="none",
            session_timeout_ms=SESSION_TIMEOUT_MS,
            heartbeat_interval_ms=SESSION_TIMEOUT_MS // 3,
            max_poll_interval_ms=MAX_POLL_INTERVAL_MS,
            request_timeout_ms=CONSUMER_REQUEST_TIMEOUT_MS,
            metadata_max_age_ms=NEW_TOPICS_WITHIN_MS if self._patterns else METADATA_AGE_MS,
            partition_assignment_strategy=[RoundRobinPartitionAssignor],
        )

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
        try:
            if self._unplaced or self._astray:
                await self._place()
            self.patience.wake(self._client)
            found = await self._fetched(int(timeout_s * 1000), limit)
        except UNAUTHORIZED as error:
            await self._refused(error)
            await self._start()
            return []
        self.patience.rest(self._client, found)
        return [_record(record) for records in found.values() for record in records]

    async def _refused(self, error: KafkaError) -> None:
        self._joined = False
        if str(error) != self._explained:
            self._explained = str(error)
            log_unauthorized(self._settings.brokers, "READ", error)
        await ended(self._client.stop())
        await asyncio.sleep(UNAUTHORIZED_RETRY_S)

    async def _fetched(self, timeout_ms: int, limit: int | None = None) -> dict[Any, Any]:
        """Return what was fetched; nothing, and note the partition, where its offset is astray."""
        try:
            found: dict[Any, Any] = await self._client.getmany(
                timeout_ms=timeout_ms, max_records=limit
            )
        except OffsetOutOfRangeError as error:
            self._astray |= set(error.args[0])
            return {}
        except NoOffsetForPartitionError:
            # A new partition that was looked at before it was placed.
            return {}
        return {one: records for one, records in found.items() if one not in self._unplaced}

    async def _place(self) -> None:
        """Read on at the offsets of the database; look at the logs where that is not enough."""
        consumer = self._client
        known = await self._positions.known()
        places = {one: (one.topic, one.partition) for one in self._unplaced | self._astray}
        odd = [one for one, place in places.items() if one in self._astray or place not in known]
        if odd:
            known |= await self._positions.begin(await self._extents(odd))
        for one, place in places.items():
            if one in consumer.assignment():
                consumer.seek(one, known[place])
                # Its predecessor may have died before it committed this at the broker.
                self._handled[one] = known[place]
        self._unplaced -= places.keys()
        self._astray -= places.keys()

    async def _extents(self, partitions: Sequence[TopicPartition]) -> dict[Any, Extent]:
        """Look at the logs. Raises Unavailable where one has no leader: its consumer waits."""
        try:
            begins = await self._client.beginning_offsets(partitions)
            ends = await self._client.end_offsets(partitions)
        except KafkaTimeoutError as error:
            raise Unavailable(type(error).__qualname__) from error
        return {
            (one.topic, one.partition): Extent(
                begins[one], ends[one], await self._client.committed(one)
            )
            for one in partitions
        }

    def done(self, records: Sequence[Record]) -> None:
        """Record everything up to these records as handled; offset commits follow."""
        for record in records:
            partition = TopicPartition(record.topic, record.partition)
            self._handled[partition] = record.offset + 1

    async def idle(self, seconds: float, stopping: asyncio.Event) -> None:
        """Poll without taking records: the group removes a member that does not poll."""
        consumer = self._client
        deadline = asyncio.get_running_loop().time() + seconds
        left_s = seconds
        while left_s >= 0 and not stopping.is_set():
            # Again each time: partitions that are assigned during the wait are not paused.
            consumer.pause(*consumer.assignment())
            await self._fetched(max(1, int(min(left_s, IDLE_POLL_S) * 1000)))
            left_s = deadline - asyncio.get_running_loop().time()
        consumer.resume(*consumer.assignment())

    async def run(self, stopping: asyncio.Event) -> None:
        """Commit offsets at an interval until the stop.

        A commit waits for an unreachable broker; the stop does not wait for the commit.
        """
        while not stopping.is_set():
            await pause(stopping, COMMIT_EVERY_S)
            await _unless(stopping, self.commit())

    async def commit(self) -> None:
        """Commit the handled offsets at the broker, for the lag that it shows."""
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

    def joined(self, partitions: Collection[TopicPartition]) -> None:
        """Record the partitions that the group has assigned; the next poll places them."""
        self._joined = True
        self._unplaced, self._astray = set(partitions), set()
        _log.info("assigned", count=len(partitions))
        if unseen := set(self._topics) - self._client.subscription():
            log_unauthorized(self._settings.brokers, "READ", TopicAuthorizationFailedError(unseen))

    async def assigned(self) -> bool:
        """Return whether the group has assigned this member its partitions, which may be none.

        By pattern the broker reports no right that is missing: the topic is not seen.
        """
        return self._joined and self._client.subscription() >= set(self._topics)


class _Rebalance(ConsumerRebalanceListener):  # type: ignore[misc]
    """Commits before partitions are reassigned, so that fewer records repeat."""

    def __init__(self, source: KafkaSource) -> None:
        self._source = source

    async def on_partitions_revoked(self, revoked: Collection[TopicPartition]) -> None:
        await self._source.revoked(revoked)

    async def on_partitions_assigned(self, assigned: Collection[TopicPartition]) -> None:
        self._source.joined(assigned)


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
