"""Topics, roles and schemas, which must exist before the first service starts."""

from collections.abc import Callable

from local_stack import databases
from local_stack.credentials import Credentials
from local_stack.inventory import Inventory
from local_stack.ports import is_listening
from local_stack.topics import apply_topics_now, topics_of
from local_stack.waiting import wait_until

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


def prepare_broker(kafka: str, inventory: Inventory, tell: Callable[[str], None]) -> None:
    """Wait for Kafka (host:port) and make topics. Repeatable."""
    topics = topics_of(inventory)
    apply_topics_now(kafka, topics, within_s=READY_WITHIN_S)
    tell(f"kafka is ready at {kafka} with {len(topics)} topics")


def wait_for_port(name: str, port: int) -> None:
    """Wait until a server on this machine accepts connections."""
    wait_until(
        lambda: is_listening(port),
        seconds=READY_WITHIN_S,
        otherwise=f"{name} does not listen at port {port}: see its log",
    )
