"""The infrastructure of a test run in containers, where a Docker engine answers.

The containers are those of docker-compose.yml, at the ports at which the native servers would
listen, so that nothing else in a test differs.
"""

from collections.abc import Mapping
from contextlib import ExitStack
from typing import Any

from testcontainers.core.container import DockerContainer

from local_stack.compose import compose_document
from local_stack.credentials import ADMIN_PASSWORD
from local_stack.stack import Stack

_INNER_PORTS = {"postgres": 5432, "redis": 6379}


def start_containers(stack: Stack, undo: ExitStack) -> None:
    """Start Kafka, PostgreSQL and Redis; `undo` stops and removes them."""
    services = compose_document(stack.inventory)["services"]
    for name, outer in _outer_ports(stack).items():
        container = DockerContainer(services[name]["image"])
        container.with_bind_ports(_INNER_PORTS.get(name, outer), outer)
        for key, value in container_environment(name, services[name], stack).items():
            container.with_env(key, value)
        if "command" in services[name]:
            container.with_command(services[name]["command"])
        undo.enter_context(container)


def container_environment(name: str, service: Mapping[str, Any], stack: Stack) -> dict[str, str]:
    """A container's settings as Compose gives them, at this stack's ports."""
    environment = dict(service.get("environment", {}))
    match name:
        case "kafka":
            usual, ours = str(stack.inventory.ports["kafka"]), str(stack.ports.kafka)
            moved = {
                key: value.replace(f":{usual}", f":{ours}") for key, value in environment.items()
            }
            # Alone in its container: nobody else knows it by the name that Compose gives it.
            return {key: value.replace("kafka:9", "localhost:9") for key, value in moved.items()}
        case "postgres":
            del environment["POSTGRES_PASSWORD_FILE"]
            return environment | {"POSTGRES_PASSWORD": stack.credentials.read(ADMIN_PASSWORD)}
        case _:
            return environment


def _outer_ports(stack: Stack) -> dict[str, int]:
    ports = stack.ports
    return {"kafka": ports.kafka, "postgres": ports.postgres, "redis": ports.redis}
