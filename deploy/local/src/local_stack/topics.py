"""Kafka's topics: the list from the manifests."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from local_stack.inventory import Inventory, load_inventory
from local_stack.manifests import Emitted

DEAD_LETTER_SUFFIX = "-dlq"
_MS_PER_HOUR = 3_600_000


@dataclass(frozen=True, slots=True)
class Topic:
    """One topic as a broker should hold it. `schema` is the CloudEvents type of its records."""

    name: str
    key: str
    schema: str
    owner: str
    readers: tuple[str, ...]
    writers: tuple[str, ...]
    partitions: int
    replication: int
    settings: Mapping[str, str]
    dead_letters_of: str = ""
    """The topic whose refused records it holds."""


def load_topics(place: str = "local") -> tuple[Topic, ...]:
    """Every topic of this checkout, dead letters included, for `local` or `production`."""
    return topics_of(load_inventory(), place)


def replicated(topics: Iterable[Topic], brokers: int) -> tuple[Topic, ...]:
    """The topics with a copy on each broker; a write is on a majority of them."""
    least = {"min.insync.replicas": str((brokers + 1) // 2)}
    return tuple(
        replace(one, replication=brokers, settings={**one.settings, **least}) for one in topics
    )


def topics_of(inventory: Inventory, place: str = "local") -> tuple[Topic, ...]:
    """Every emitted topic and its dead-letter topic."""
    topics: list[Topic] = []
    for package, emits in inventory.emits.items():
        for name, emitted in emits.items():
            fields = {**inventory.topic_defaults, **_fields(package, name, emitted, inventory)}
            topics.append(_topic(fields, place))
            if emitted.dead_letters:
                twin = {"name": name + DEAD_LETTER_SUFFIX, "owner": "any", "source": name}
                # Its writers are those who may refuse a record of the source.
                twin |= {"writers": fields["readers"]}
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
        "writers": inventory.auditing
        if emitted.owner == "any"
        else [package, *(one for one, writes in inventory.writes.items() if name in writes)],
        "source": "",
        "retention_hours": emitted.retention_hours,
    }


def _topic(fields: Mapping[str, Any], place: str) -> Topic:
    return Topic(
        name=fields["name"],
        key=fields["key"],
        schema=fields["schema"],
        owner=fields["owner"],
        readers=tuple(fields["readers"]),
        writers=tuple(fields["writers"]),
        partitions=fields["partitions"][place],
        replication=fields["replication"][place],
        settings={
            "max.message.bytes": str(fields["max_message_bytes"]),
            "retention.ms": str(int(fields["retention_hours"] * _MS_PER_HOUR)),
            "min.insync.replicas": str(fields["min_insync_replicas"][place]),
        },
        dead_letters_of=fields["source"],
    )
