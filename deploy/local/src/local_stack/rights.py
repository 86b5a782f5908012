"""Who may do what on Kafka: principals and rights, from the manifests.

A partner bank's are not here: they follow from its name (`kafka_access.partners`). The broker
refuses what is no right. In Kafka, READ and WRITE include DESCRIBE, and WRITE on any topic includes
the idempotent producer.
"""

from collections.abc import Iterator

from kafka_access.partners import EVERY_GROUP
from kafka_access.rules import EVERY, Right
from local_stack.inventory import Inventory
from local_stack.topics import Topic, topics_of

ADMIN = "admin"
"""Makes topics, principals and rights at set-up; tests use it for what no service does."""
BROKER = "broker"
"""The brokers among themselves."""
MONITOR = "monitor"
"""The collector: it sees lag and reads no record."""
SUPERUSERS = (BROKER, ADMIN)


def principals(inventory: Inventory) -> tuple[str, ...]:
    """Every principal, the two of the cluster itself first."""
    services = (one.name for one in inventory.services.values() if "kafka" in one.needs)
    return (*SUPERUSERS, MONITOR, *services)


def rights(inventory: Inventory) -> frozenset[Right]:
    """Every right of every principal but the superusers."""
    topics = topics_of(inventory)
    return frozenset(
        (
            *_of_services(inventory),
            *(right for topic in topics for right in _of_topic(topic)),
            *_of_operations(inventory, topics),
            Right(MONITOR, "group", EVERY, "DESCRIBE"),
            Right(MONITOR, "topic", EVERY, "DESCRIBE"),
        )
    )


def _of_services(inventory: Inventory) -> Iterator[Right]:
    """A consumer's group has the name of its service."""
    for package, reads in inventory.reads.items():
        if reads:
            yield Right(package, "group", package, "READ")
    for package, families in inventory.families.items():
        for name in families.reads:
            yield Right(package, "topic", name, "READ")
        for name in families.writes:
            yield Right(package, "topic", name, "WRITE")


def _of_topic(topic: Topic) -> Iterator[Right]:
    for reader in topic.readers:
        yield Right(reader, "topic", topic.name, "READ")
    for writer in topic.writers:
        yield Right(writer, "topic", topic.name, "WRITE")


def _of_operations(inventory: Inventory, topics: tuple[Topic, ...]) -> Iterator[Right]:
    """What the manifests call `inspects` and `redrives`."""
    refused = {one.dead_letters_of for one in topics}
    families = {name for one in inventory.families.values() for name in (*one.reads, *one.writes)}
    for package, may in inventory.operations.items():
        for name in (*(topic.name for topic in topics), *families) if may.inspects else ():
            yield Right(package, "topic", name, "READ")
        for group in (name for name, reads in inventory.reads.items() if reads and may.inspects):
            yield Right(package, "group", group, "DESCRIBE")
        if may.inspects:
            yield Right(package, "group", EVERY_GROUP, "DESCRIBE")
        for topic in topics:
            if may.redrives and topic.name in refused:
                yield Right(package, "topic", topic.name, "WRITE")
