"""Topics, applied to a broker."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Protocol

from aiokafka.admin import AIOKafkaAdminClient, NewPartitions, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import for_code

from kafka_access.errors import AccessError

_METADATA_PAUSE_S = 0.05


class Topic(Protocol):
    """A topic as a broker should hold it."""

    @property
    def name(self) -> str:
        """Its name."""
        ...

    @property
    def partitions(self) -> int:
        """The number of its partitions."""
        ...

    @property
    def replication(self) -> int:
        """The number of copies of each partition."""
        ...

    @property
    def settings(self) -> Mapping[str, str]:
        """Kafka's settings of topics that differ from the broker's."""
        ...


async def apply_topics(admin: AIOKafkaAdminClient, topics: Sequence[Topic]) -> None:
    """Make the missing topics and correct the settings of the others. Repeatable.

    Raises AccessError where a topic has more partitions than it should: Kafka takes none away.
    """
    there = set(await admin.list_topics())
    await _create(admin, [topic for topic in topics if topic.name not in there])
    old = [topic for topic in topics if topic.name in there]
    if old:
        await _correct_partitions(admin, old)
        await _correct_settings(admin, old)
    # The first such request creates the topic of consumer offsets, which takes time: better now
    # than while every service waits for its partitions.
    await admin.find_coordinator("countersign")


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
    """Wait until the broker's metadata has the topics; the caller has the deadline."""
    listed = set(await admin.list_topics())
    while not names <= listed:
        await asyncio.sleep(_METADATA_PAUSE_S)
        listed = set(await admin.list_topics())


async def _correct_partitions(admin: AIOKafkaAdminClient, topics: Sequence[Topic]) -> None:
    described = await admin.describe_topics([topic.name for topic in topics])
    found = {one["topic"]: len(one["partitions"]) for one in described}
    for topic in topics:
        if found[topic.name] > topic.partitions:
            raise AccessError(
                f"topic {topic.name} has {found[topic.name]} partitions instead of "
                f"{topic.partitions}, and Kafka cannot take any away"
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
                raise AccessError(f"topic {name}: Kafka refused its settings: {message}")
