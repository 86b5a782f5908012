"""Topics, read without a group, so that no offset moves."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any, TypeVar

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import GroupAuthorizationFailedError, KafkaError

from ops.domain.errors import UnavailableError
from service_runtime import fetched
from service_runtime.brokers import Brokers

REQUEST_TIMEOUT_MS = 10_000
STOP_WITHIN_S = 1.0
POLL_MS = 500
POLL_RECORDS = 1000

Span = tuple[int, int]
"""First offset, and the end offset, which is excluded."""
T = TypeVar("T")
fetched.install()


def run_query(work: Coroutine[Any, Any, T], brokers: Brokers, within_s: float) -> T:
    """Run a query of Kafka; raise UnavailableError if it does not respond in time."""
    try:
        return asyncio.run(_bounded(work, within_s))
    except TimeoutError:
        raise UnavailableError(
            f"Kafka at {brokers} did not send all records within {within_s:.0f} s",
            "make status",
        ) from None
    except KafkaError as error:
        what = f"Kafka at {brokers} does not respond ({type(error).__name__})"
        raise UnavailableError(what, "make status") from None


async def _bounded(work: Coroutine[Any, Any, T], within_s: float) -> T:
    async with asyncio.timeout(within_s):
        return await work


@asynccontextmanager
async def reader(brokers: Brokers) -> AsyncIterator[AIOKafkaConsumer]:
    """Open a consumer without a group."""
    consumer = AIOKafkaConsumer(
        **brokers.arguments,
        client_id="ops",
        group_id=None,
        enable_auto_commit=False,
        request_timeout_ms=REQUEST_TIMEOUT_MS,
    )
    try:
        await consumer.start()
        # aiokafka's task must have started: stopping it earlier cancels this task instead.
        await asyncio.sleep(0)
        yield consumer
    finally:
        # A change of the assignment just before can take the cancellation that stops aiokafka's
        # task; the one of this deadline then ends it.
        with suppress(TimeoutError):
            async with asyncio.timeout(STOP_WITHIN_S):
                await consumer.stop()


@asynccontextmanager
async def admin_of(brokers: Brokers) -> AsyncIterator[AIOKafkaAdminClient]:
    """Open an admin client."""
    admin = AIOKafkaAdminClient(
        **brokers.arguments, client_id="ops", request_timeout_ms=REQUEST_TIMEOUT_MS
    )
    try:
        await admin.start()
        yield admin
    finally:
        await admin.close()


async def partitions_of(brokers: Brokers, wanted: Callable[[str], bool]) -> list[TopicPartition]:
    """Return all partitions of the selected topics."""
    async with admin_of(brokers) as admin:
        topics = [topic for topic in await admin.list_topics() if wanted(topic)]
        described = await admin.describe_topics(sorted(topics)) if topics else []
    return [
        TopicPartition(topic["topic"], partition["partition"])
        for topic in described
        for partition in topic["partitions"]
    ]


async def committed_offsets(
    brokers: Brokers, groups: Sequence[str]
) -> dict[str, dict[TopicPartition, int]]:
    """Return the committed offsets of each group by partition.

    A service that reads no topic has no group, nor is there a right to look at one: it is left out.
    """
    async with admin_of(brokers) as admin:
        of_all = await asyncio.gather(*(_offsets_of(admin, group) for group in groups))
    found = {group: one for group, one in zip(groups, of_all, strict=True) if one is not None}
    if groups and not found:
        raise GroupAuthorizationFailedError
    return {
        group: {one: meta.offset for one, meta in offsets.items() if meta.offset >= 0}
        for group, offsets in found.items()
    }


async def _offsets_of(admin: AIOKafkaAdminClient, group: str) -> Any | None:
    """Return what a group has committed; None where there is no right to look at it."""
    try:
        return await admin.list_consumer_group_offsets(group)
    except GroupAuthorizationFailedError:
        return None


async def spans_of(
    consumer: AIOKafkaConsumer, partitions: Sequence[TopicPartition]
) -> dict[TopicPartition, Span]:
    """Return the current first and end offset of each partition."""
    if not partitions:
        return {}
    # aiokafka looks up the leader of an unassigned topic only seconds later.
    consumer.assign(partitions)
    consumer.pause(*partitions)
    first = await consumer.beginning_offsets(partitions)
    ends = await consumer.end_offsets(partitions)
    return {one: (first[one], ends[one]) for one in partitions}


async def sizes_of(brokers: Brokers) -> dict[tuple[str, int], int]:
    """Return the number of offsets that each partition holds, of every topic that may be read."""
    partitions = await partitions_of(brokers, lambda name: not name.startswith("__"))
    async with reader(brokers) as consumer:
        spans = await spans_of(consumer, partitions)
    return {(one.topic, one.partition): end - first for one, (first, end) in spans.items()}


async def lags_of(brokers: Brokers, groups: Sequence[str]) -> dict[str, int]:
    """Return by group how many records of its topics it has not committed; idle groups have 0."""
    committed = await committed_offsets(brokers, groups)
    partitions = sorted({one for offsets in committed.values() for one in offsets})
    async with reader(brokers) as consumer:
        spans = await spans_of(consumer, partitions)
    return {
        group: sum(max(0, spans[one][1] - max(spans[one][0], at)) for one, at in offsets.items())
        for group, offsets in committed.items()
        if offsets
    }


async def records_in(
    consumer: AIOKafkaConsumer, spans: Mapping[TopicPartition, Span]
) -> AsyncIterator[Sequence[Any]]:
    """Yield the records of the spans, some at a time."""
    left = {one for one, (first, end) in spans.items() if first < end}
    if not left:
        return
    consumer.assign(sorted(left))
    for one in left:
        consumer.seek(one, spans[one][0])
    while left:
        polled = await consumer.getmany(timeout_ms=POLL_MS, max_records=POLL_RECORDS)
        for one, records in polled.items():
            yield [record for record in records if record.offset < spans[one][1]]
        # By position, not by record: the last offsets may have no readable record.
        done = {one for one in left if await consumer.position(one) >= spans[one][1]}
        consumer.pause(*done)
        left -= done
