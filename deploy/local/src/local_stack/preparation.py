"""Principals, topics, roles and schemas, which must exist before the first service starts."""

from collections.abc import Callable

from aiokafka.admin import AIOKafkaAdminClient

from kafka_access.topics import apply_topics
from local_stack import databases
from local_stack.access import apply_access
from local_stack.admin import run_admin_now
from local_stack.credentials import Credentials
from local_stack.inventory import Inventory
from local_stack.ports import is_listening
from local_stack.rights import rights
from local_stack.topics import replicated, topics_of
from local_stack.waiting import wait_until
from service_runtime.brokers import Brokers

READY_WITHIN_S = 60


def prepare_database(
    postgres: str, credentials: Credentials, inventory: Inventory, tell: Callable[[str], None]
) -> None:
    """Wait for PostgreSQL (host:port) and make roles and schemas. Repeatable."""
    wait_until(
        lambda: databases.is_ready(postgres, credentials),
        seconds=READY_WITHIN_S,
        otherwise=f"PostgreSQL at {postgres} is not ready",
    )
    databases.make_roles(postgres, credentials, inventory.with_database)
    tell(f"postgres is ready at {postgres}")


def prepare_broker(
    brokers: Brokers,
    credentials: Credentials,
    inventory: Inventory,
    tell: Callable[[str], None],
    count: int = 1,
) -> None:
    """Wait for Kafka's brokers and make principals, rights and topics. Repeatable."""
    topics, wanted = replicated(topics_of(inventory), count), rights(inventory)
    passwords = credentials.kafka_passwords(inventory)

    async def prepare(admin: AIOKafkaAdminClient) -> None:
        await apply_access(admin, passwords, wanted)
        await apply_topics(admin, topics)

    run_admin_now(brokers, prepare, within_s=READY_WITHIN_S)
    tell(f"kafka is ready at {brokers} with {len(topics)} topics and {len(wanted)} rights")


def wait_for_port(name: str, port: int) -> None:
    """Wait until a server on this machine accepts connections."""
    wait_until(
        lambda: is_listening(port),
        seconds=READY_WITHIN_S,
        otherwise=f"{name} does not listen at port {port}: see its log",
    )
