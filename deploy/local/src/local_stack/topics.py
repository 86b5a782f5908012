"""Kafka's topics: the list from the manifests, and its application to a broker."""

import asyncio
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from aiokafka.admin import AIOKafkaAdminClient, NewPartitions, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import KafkaError, for_code

from local_stack.errors import StackError
from local_stack.inventory import Inventory, load_inventory
from local_stack.manifests import Emitted
from local_stack.waiting import Deadline

DEAD_LETTER_SUFFIX = "-dlq"
_MS_PER_HOUR = 3_600_000
_REQUEST_TIMEOUT_MS = 5_000
_METADATA_PAUSE_S = 0.05


@dataclass(frozen=True, slots=True)
class Topic:
    """One topic as a broker should hold it. `schema` is the CloudEvents type of its records."""

    name: str
    key: str
    schema: str
    owner: str
    readers: tuple[str, ...]
    partitions: int
    replication: int
    settings: Mapping[str, str]


def load_topics(place: str = "local") -> tuple[Topic, ...]:
    """Every topic of this checkout, dead letters included, for `local` or `production`."""
    return topics_of(load_inventory(), place)


def topics_of(inventory: Inventory, place: str = "local") -> tuple[Topic, ...]:
    """Every emitted topic and its dead-letter topic."""
    topics: list[Topic] = []
    for package, emits in inventory.emits.items():
        for name, emitted in emits.items():
            fields = {**inventory.topic_defaults, **_fields(package, name, emitted, inventory)}
            topics.append(_topic(fields, place))
            if emitted.dead_letters:
                twin = {"name": name + DEAD_LETTER_SUFFIX, "owner": "any"}
                topics.append(_topic({**fields, **inventory.dead_letter, **twin}, place))
    return tuple(topics)


def _fields(package: str, name: str, emitted: Emitted, inventory: Inventory) -> dict[str, Any]:
    partitions = {"partitions": emitted.partitions.model_dump()} if emitted.partitions else {}
    return partitions | {
        "name": name,
        "key": emitted.key,
        "schema": emitted.schema_name or name,
        "owner": emitted.owner or package,
        "readers": [reader for reader, reads in inventory.reads.items() if name in reads],
        "retention_hours": emitted.retention_hours,
    }


def _topic(fields: Mapping[str, Any], place: str) -> Topic:
    return Topic(
        name=fields["name"],
        key=fields["key"],
        schema=fields["schema"],
        owner=fields["owner"],
        readers=tuple(fields["readers"]),
        partitions=fields["partitions"][place],
        replication=fields["replication"][place],
        settings={
            "max.message.bytes": str(fields["max_message_bytes"]),
            "retention.ms": str(int(fields["retention_hours"] * _MS_PER_HOUR)),
            "min.insync.replicas": str(fields["min_insync_replicas"][place]),
        },
    )


def apply_topics_now(bootstrap: str, topics: Sequence[Topic], *, within_s: float = 60) -> None:
    """Run `apply_topics` in its own thread, so that a caller may have an event loop."""
    with ThreadPoolExecutor(max_workers=1) as pool:
        pool.submit(asyncio.run, apply_topics(bootstrap, topics, within_s=within_s)).result()


async def apply_topics(bootstrap: str, topics: Sequence[Topic], *, within_s: float = 60) -> None:
    """Make the missing topics and correct the settings of the others. Repeatable.

    Raises StackError where the broker does not answer in time, or a topic has more partitions
    than it should (Kafka cannot take any away).
    """
    deadline = Deadline(within_s)
    while True:
        try:
            async with asyncio.timeout(deadline.left_s):
                await _apply_once(bootstrap, topics)
        except (KafkaError, TimeoutError) as error:
            if deadline.passed:
                raise StackError(f"Kafka at {bootstrap} made no topics: {error!r}") from error
            await asyncio.sleep(0.2)
        else:
            return


async def _apply_once(bootstrap: str, topics: Sequence[Topic]) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap, request_timeout_ms=_REQUEST_TIMEOUT_MS)
    try:
        await admin.start()
        there = set(await admin.list_topics())
        await _create(admin, [topic for topic in topics if topic.name not in there])
        old = [topic for topic in topics if topic.name in there]
        if old:
            await _correct_partitions(admin, old)
            await _correct_settings(admin, old)
        # The first such request creates the topic of consumer offsets, which takes time: better now
        # than while every service waits for its partitions.
        await admin.find_coordinator("countersign")
    finally:
        await admin.close()


async def _create(admin: AIOKafkaAdminClient, topics: Sequence[Topic]) -> None:
    if not topics:
        return
    response = await admin.create_topics(
        [
            NewTopic(one.name, one.partitions, one.replication, topic_configs=dict(one.settings))
            for one in topics
        ]
    )
    for name, code, *_ in response.topic_errors:
        # Also where a concurrent set-up has made it; the next round corrects its settings.
        if code:
            raise for_code(code)(name)
    await _wait_until_listed(admin, {topic.name for topic in topics})


async def _wait_until_listed(admin: AIOKafkaAdminClient, names: set[str]) -> None:
    """Wait until the broker's metadata has the topics; `apply_topics` has the deadline."""
    listed = set(await admin.list_topics())
    while not names <= listed:
        await asyncio.sleep(_METADATA_PAUSE_S)
        listed = set(await admin.list_topics())


async def _correct_partitions(admin: AIOKafkaAdminClient, topics: Sequence[Topic]) -> None:
    described = await admin.describe_topics([topic.name for topic in topics])
    found = {one["topic"]: len(one["partitions"]) for one in described}
    for topic in topics:
        if found[topic.name] > topic.partitions:
            raise StackError(
                f"topic {topic.name} has {found[topic.name]} partitions instead of "
                f"{topic.partitions}, and Kafka cannot take any away: reset the stack"
            )
    grow = {
        one.name: NewPartitions(one.partitions)
        for one in topics
        if found[one.name] < one.partitions
    }
    if grow:
        await admin.create_partitions(grow)


async def _correct_settings(admin: AIOKafkaAdminClient, topics: Sequence[Topic]) -> None:
    wanted = {topic.name: topic.settings for topic in topics}
    keys = dict.fromkeys(topics[0].settings)
    answers = await admin.describe_configs(
        [ConfigResource(ConfigResourceType.TOPIC, name, configs=keys) for name in wanted]
    )
    for answer in answers:
        for code, _, _, name, entries in answer.resources:
            if code:
                raise for_code(code)(name)
            found = {entry[0]: entry[1] for entry in entries}
            if found != wanted[name]:
                await _alter(admin, name, wanted[name])


async def _alter(admin: AIOKafkaAdminClient, name: str, settings: Mapping[str, str]) -> None:
    topic = ConfigResource(ConfigResourceType.TOPIC, name, configs=dict(settings))
    for answer in await admin.alter_configs([topic]):
        for code, message, *_ in answer.resources:
            if code:
                raise StackError(f"topic {name}: Kafka refused its settings: {message}")
