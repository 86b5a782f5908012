"""Topics, roles, schemas and tables: what must be there before the first service starts."""

from local_stack import databases
from local_stack.credentials import Credentials
from local_stack.inventory import load_inventory
from local_stack.topics import apply_topics_now, load_topics
from local_stack.waiting import wait_until

_WITHIN_S = 60


def prepare(kafka: str, postgres: str, credentials: Credentials) -> None:
    """Bring a broker and a database (host:port) to what the inventory says. Repeatable."""
    services = load_inventory().with_database
    wait_until(
        lambda: databases.is_ready(postgres, credentials),
        seconds=_WITHIN_S,
        otherwise=f"PostgreSQL at {postgres} is not ready",
    )
    databases.make_roles(postgres, credentials, services)
    databases.migrate(postgres, credentials, services)
    apply_topics_now(kafka, load_topics())
