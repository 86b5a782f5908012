"""The infrastructure of a test run in containers, where a Docker engine answers.

The containers are those of docker-compose.yml, at the ports at which the native servers would
listen, so that nothing else in a test differs.
"""

import subprocess
from collections.abc import Iterable, Mapping
from typing import Any

from local_stack.compose import compose_document
from local_stack.credentials import ADMIN_PASSWORD
from local_stack.errors import StackError
from local_stack.inventory import INFRASTRUCTURE
from local_stack.stack import Stack

_INNER_PORTS = {"postgres": 5432, "redis": 6379}
_COMMAND_WITHIN_S = 600


class ContainerStack(Stack):
    """Kafka, PostgreSQL and Redis in containers; services run natively, as in any other test."""

    def start_infrastructure(self) -> None:
        self.credentials.make(self.inventory)
        services = compose_document(self.inventory)["services"]
        for name in INFRASTRUCTURE:
            _docker(run_arguments(name, services[name], self))
        self.adopt_infrastructure()

    def stop(self) -> None:
        super().stop()
        # Those of a run that was killed, too: their names are the same.
        _docker(
            ["rm", "--force", "--volumes", *(container_name(one, self) for one in INFRASTRUCTURE)]
        )

    def stop_process(self, name: str, instance: int = 0) -> None:
        if name in INFRASTRUCTURE:
            _docker(["stop", container_name(name, self)])
        else:
            super().stop_process(name, instance)

    def start_process(self, name: str, instance: int = 0) -> None:
        if name in INFRASTRUCTURE:
            _docker(["start", container_name(name, self)])
        else:
            super().start_process(name, instance)


def container_name(name: str, stack: Stack) -> str:
    """A container's name: one for each checkout and port offset, as the data folder."""
    root = stack.layout.root
    return f"countersign-tests-{root.parent.name}-{stack.ports.offset}-{name}"


def run_arguments(name: str, service: Mapping[str, Any], stack: Stack) -> list[str]:
    """What `docker` is told to start a container as Compose would, for this machine alone."""
    outer = {"kafka": stack.ports.kafka, "postgres": stack.ports.postgres}.get(
        name, stack.ports.redis
    )
    inner = _INNER_PORTS.get(name, outer)
    environment = container_environment(name, service, stack)
    return [
        "run",
        "--detach",
        f"--name={container_name(name, stack)}",
        f"--publish=127.0.0.1:{outer}:{inner}",
        *(f"--env={key}={value}" for key, value in environment.items()),
        service["image"],
        *service.get("command", ()),
    ]


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


def _docker(arguments: Iterable[str]) -> None:
    """Run `docker`. Raises StackError with what it says."""
    words = list(arguments)
    done = subprocess.run(
        ["docker", *words], check=False, capture_output=True, text=True, timeout=_COMMAND_WITHIN_S
    )
    # The engine of version 20.10 fails where there is nothing to remove, later ones do not.
    if done.returncode != 0 and "No such container" not in done.stderr:
        raise StackError(f"docker {words[0]} failed: {done.stderr.strip()}")
