"""The inventory of processes: deploy/services.yaml, read and checked."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from local_stack.errors import StackError
from local_stack.layout import CHECKOUT

INVENTORY_FILE = CHECKOUT / "deploy" / "services.yaml"
INFRASTRUCTURE = ("kafka", "postgres", "redis")
PORTS_BETWEEN_INSTANCES = 1000
_SERVICE_FIELDS = {"module", "port", "needs", "admin", "environment", "secrets", "options"}


@dataclass(frozen=True, slots=True)
class Service:
    """One process of ours and everything that it is started with."""

    name: str
    module: str
    port: int
    needs: tuple[str, ...]
    admin: bool
    environment: Mapping[str, str]
    secrets: Mapping[str, str]
    options: tuple[str, ...]

    @property
    def database(self) -> bool:
        return "postgres" in self.needs

    @property
    def package(self) -> str:
        """The workspace member that holds it: `mocks` for `mocks.ofac`."""
        return self.module.partition(".")[0]

    def port_of(self, instance: int) -> int:
        return self.port + PORTS_BETWEEN_INSTANCES * instance


@dataclass(frozen=True, slots=True)
class Inventory:
    """Every process, what each setting means, the ports and images of what is not ours.

    `ports` holds the infrastructure's by name, the observability's by name and purpose:
    `kafka`, `jaeger_web`.

    `options` are settings of every process that the user may change.
    """

    services: Mapping[str, Service]
    ports: Mapping[str, int]
    images: Mapping[str, str]
    options: tuple[str, ...]
    meanings: Mapping[str, str]

    def service(self, name: str) -> Service:
        """Find a service. Raises StackError, listing the names there are."""
        if name not in self.services:
            known = ", ".join(self.services)
            raise StackError(f"no service is called {name!r}; there are: {known}")
        return self.services[name]

    @property
    def ours(self) -> tuple[Service, ...]:
        """The services themselves, without the mocks of what is outside."""
        return tuple(one for one in self.services.values() if not one.module.startswith("mocks."))

    @property
    def with_database(self) -> tuple[Service, ...]:
        return tuple(one for one in self.services.values() if one.database)

    @property
    def admins(self) -> tuple[Service, ...]:
        return tuple(one for one in self.services.values() if one.admin)


def load_inventory(path: Path = INVENTORY_FILE) -> Inventory:
    """Read and check the inventory. Raises StackError, naming the field that is wrong."""
    document = yaml.safe_load(path.read_text())
    inventory = Inventory(
        services={
            name: _service(name, fields, document) for name, fields in document["services"].items()
        },
        ports=_infrastructure_ports(document["infrastructure"])
        | _observability_ports(document["observability"]),
        images=_images(document["infrastructure"] | document["observability"]),
        options=tuple(document["options"]),
        meanings=document["meanings"],
    )
    _check_ports(inventory)
    _check_meanings(inventory)
    return inventory


def _service(name: str, fields: Mapping[str, Any], document: Mapping[str, Any]) -> Service:
    _check_fields(name, fields)
    needs = tuple(fields.get("needs", ()))
    inherited = dict(document["environment"])
    for need in needs:
        inherited |= document["needs"][need]
    secrets = dict(fields.get("secrets", {}))
    if not fields["module"].startswith("mocks."):
        # In production each shows its metrics and descriptions to callers with a scope alone.
        secrets["INTERNAL_CREDENTIALS_FILE"] = "internal-credentials"
    return Service(
        name=name,
        module=fields["module"],
        port=fields["port"],
        needs=needs,
        admin=fields.get("admin", False),
        environment=inherited | fields.get("environment", {}),
        secrets=secrets,
        options=tuple(fields.get("options", ())),
    )


def _check_fields(name: str, fields: Mapping[str, Any]) -> None:
    for missing in {"module", "port"} - fields.keys():
        raise StackError(f"services.yaml: {name}: field {missing} is missing")
    for unknown in fields.keys() - _SERVICE_FIELDS:
        raise StackError(f"services.yaml: {name}: unknown field {unknown}")
    if not isinstance(fields["port"], int) or not 1024 <= fields["port"] <= 9999:
        raise StackError(f"services.yaml: {name}: port must be a number from 1024 to 9999")
    for need in fields.get("needs", ()):
        if need not in INFRASTRUCTURE:
            raise StackError(f"services.yaml: {name}: needs: {need} is not one of {INFRASTRUCTURE}")


def _infrastructure_ports(infrastructure: Mapping[str, Any]) -> dict[str, int]:
    ports = {name: infrastructure[name]["port"] for name in INFRASTRUCTURE}
    return ports | {"kafka_controller": infrastructure["kafka"]["controller_port"]}


def _observability_ports(observability: Mapping[str, Any]) -> dict[str, int]:
    return {
        f"{name}_{purpose}": port
        for name, one in observability.items()
        for purpose, port in one["ports"].items()
    }


def _images(parts: Mapping[str, Any]) -> dict[str, str]:
    return {name: one["image"] for name, one in parts.items() if "image" in one}


def _check_ports(inventory: Inventory) -> None:
    taken: dict[int, str] = {port: name for name, port in inventory.ports.items()}
    for service in inventory.services.values():
        if service.port in taken:
            other = taken[service.port]
            raise StackError(f"services.yaml: {service.name}: port is also that of {other}")
        taken[service.port] = service.name


def _check_meanings(inventory: Inventory) -> None:
    for service in inventory.services.values():
        for setting in (*service.environment, *service.secrets, *service.options):
            if setting not in inventory.meanings:
                raise StackError(f"services.yaml: meanings: {setting} of {service.name} is missing")
