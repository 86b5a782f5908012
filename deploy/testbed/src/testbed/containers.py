"""The infrastructure of a test run in containers, if a Docker engine responds.

The containers are those of docker-compose.yml, at the ports of the native servers, so that tests
do not differ.
"""

import re
from collections.abc import Mapping
from contextlib import ExitStack
from typing import Any

from testcontainers.core.config import testcontainers_config
from testcontainers.core.container import DockerContainer

from local_stack.compose import compose_document
from local_stack.containers import transport
from local_stack.credentials import ADMIN_PASSWORD
from local_stack.inventory import INFRASTRUCTURE
from local_stack.stack import Stack

_INNER_PORTS = {"postgres": 5432, "redis": 6379}
_VARIABLE = re.compile(r"\$\{(\w+):-\w*\}")
# Ryuk removes the containers of killed runs, but listens on all addresses; names replace it here.
testcontainers_config.ryuk_disabled = True


class ContainerStack(Stack):
    """Kafka, PostgreSQL and Redis in containers; services run natively."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._containers: dict[str, DockerContainer] = {}
        self._undo = ExitStack()

    def start_infrastructure(self) -> None:
        self.credentials.make(self.inventory)
        services = compose_document(self.inventory)["services"]
        for name in INFRASTRUCTURE:
            container = new_container(name, services[name], self)
            self._containers[name] = self._undo.enter_context(container)
        self.adopt_infrastructure()

    def stop(self) -> None:
        super().stop()
        self._undo.close()

    def stop_process(self, name: str, instance: int = 0) -> None:
        if name in INFRASTRUCTURE:
            self._containers[name].get_wrapped_container().stop()
        else:
            super().stop_process(name, instance)

    def start_process(self, name: str, instance: int = 0) -> None:
        if name in INFRASTRUCTURE:
            self._containers[name].get_wrapped_container().start()
        else:
            super().start_process(name, instance)


def new_container(name: str, service: Mapping[str, Any], stack: Stack) -> DockerContainer:
    """Return a container as Compose would start it, on loopback; remove that of a killed run."""
    container_id = container_name(name, stack)
    environment = container_environment(name, service, stack)
    container = DockerContainer(
        service["image"], command=_command(service, stack), env=environment, name=container_id
    )
    for secret in service.get("secrets", ()):
        container.with_volume_mapping(str(stack.credentials.path(secret)), f"/run/secrets/{secret}")
    outer = stack.ports.at(name)
    # `with_bind_ports` takes no address; Docker's client does.
    inner = _INNER_PORTS.get(name, outer)
    published = {inner: outer}
    if name == "kafka":
        published[stack.ports.kafka_partners_of(0)] = stack.ports.kafka_partners_of(0)
    for inside, outside in published.items():
        container.ports[f"{inside}/tcp"] = ("127.0.0.1", outside)  # type: ignore[assignment]
    containers = container.get_docker_client().client.containers
    for leftover in containers.list(all=True, filters={"name": f"^{container_id}$"}):
        leftover.remove(force=True, v=True)
    return container


def _command(service: Mapping[str, Any], stack: Stack) -> Any:
    """Return the command. Compose reads `$$` as `$`; the engine alone does not."""
    command = service.get("command")
    return [_filled(word, stack).replace("$$", "$") for word in command] if command else None


def _filled(text: str, stack: Stack) -> str:
    """Fill in Compose's variables: `${NAME:-default}`."""
    return _VARIABLE.sub(lambda found: transport(tls=stack.tls)[found[1]], text)


def container_name(name: str, stack: Stack) -> str:
    """Return a container's name, unique for checkout and port offset."""
    root = stack.layout.root
    return f"countersign-tests-{root.parent.name}-{stack.ports.offset}-{name}"


def container_environment(name: str, service: Mapping[str, Any], stack: Stack) -> dict[str, str]:
    """Return a container's environment as in Compose, with this stack's ports."""
    environment = dict(service.get("environment", {}))
    match name:
        case "kafka":
            moved = environment
            for one in ("kafka", "kafka_partners"):
                usual, here = stack.inventory.ports[one], stack.ports.at(one)
                moved = {
                    key: value.replace(f":{usual}", f":{here}") for key, value in moved.items()
                }
            moved = {key: _filled(value, stack) for key, value in moved.items()}
            # No other container resolves the name that Compose gives it.
            return {key: value.replace("kafka:9", "localhost:9") for key, value in moved.items()}
        case "postgres":
            del environment["POSTGRES_PASSWORD_FILE"]
            return environment | {"POSTGRES_PASSWORD": stack.credentials.read(ADMIN_PASSWORD)}
        case _:
            return environment
