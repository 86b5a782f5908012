"""The ports of a stack, and whether they are free."""

import contextlib
import socket
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from local_stack.addresses import traces_of
from local_stack.errors import StackError
from local_stack.inventory import Inventory

HIGHEST_OFFSET = 40_000
_PORTS_OF_A_BROKER = 3
"""For clients, for controllers, and the link."""


@dataclass(frozen=True, slots=True)
class Ports:
    """The ports of one stack: those of the inventory, moved by an offset."""

    inventory: Inventory
    offset: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.offset <= HIGHEST_OFFSET:
            raise StackError(f"offset must be 0 to {HIGHEST_OFFSET}, not {self.offset}")

    @property
    def kafka(self) -> int:
        return self.inventory.ports["kafka"] + self.offset

    @property
    def kafka_controller(self) -> int:
        return self.inventory.ports["kafka_controller"] + self.offset

    def kafka_of(self, broker: int) -> int:
        """Where one of several brokers listens for clients."""
        return self.kafka + _PORTS_OF_A_BROKER * broker

    def kafka_controller_of(self, broker: int) -> int:
        return self.kafka_controller + _PORTS_OF_A_BROKER * broker

    def kafka_partners_of(self, broker: int) -> int:
        """Where a broker listens for partner banks."""
        return self.at("kafka_partners") + broker

    def of_broker(self, broker: int) -> tuple[int, int, int]:
        """Every port of a broker but the link."""
        clients, controller = self.kafka_of(broker), self.kafka_controller_of(broker)
        return clients, controller, self.kafka_partners_of(broker)

    @property
    def kafka_link(self) -> int:
        """Where the broker listens for clients that connect through a proxy."""
        return self.kafka_controller + 1

    @property
    def postgres(self) -> int:
        return self.inventory.ports["postgres"] + self.offset

    @property
    def observing(self) -> dict[str, Any]:
        """The fields of an environment's place about what observes."""
        return {
            "prometheus": f"http://127.0.0.1:{self.at('prometheus_web')}",
            "jaeger": f"http://127.0.0.1:{self.at('jaeger_web')}",
            "traces": traces_of("native", self.offset),
        }

    @property
    def redis(self) -> int:
        return self.inventory.ports["redis"] + self.offset

    def at(self, name: str) -> int:
        """The port of a part of the infrastructure or observability, such as `jaeger_web`."""
        return self.inventory.ports[name] + self.offset

    def of(self, service: str, instance: int = 0) -> int:
        return self.inventory.service(service).port_of(instance) + self.offset


def at_loopback(ports: Iterable[int]) -> str:
    """The addresses of these ports, host:port, comma separated."""
    return ",".join(f"127.0.0.1:{port}" for port in ports)


def is_listening(port: int) -> bool:
    """Whether something on this machine accepts connections at the port."""
    with socket.socket() as probe:
        probe.settimeout(1.0)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def require_free(wanted: Iterable[tuple[str, int]]) -> None:
    """Check (name, port) pairs. Raises StackError with the port and the process that holds it."""
    for name, port in wanted:
        if not _can_bind(port):
            raise StackError(f"port {port}, which {name} needs, is held by {holder_of(port)}")


def _can_bind(port: int) -> bool:
    with socket.socket() as probe:
        # A port whose last connections are still closing is free to a server.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def holder_of(port: int) -> str:
    """Name the process that holds a port, if this user may see it."""
    inodes = _inodes_at(port)
    for process in Path("/proc").glob("[0-9]*"):
        if inodes & _sockets_of(process):
            command = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode().strip()
            return f"process {process.name} ({command[:80]})"
    return "another process"


def _inodes_at(port: int) -> set[str]:
    rows = [
        row.split()
        for table in ("/proc/net/tcp", "/proc/net/tcp6")
        if Path(table).exists()
        for row in Path(table).read_text().splitlines()[1:]
    ]
    return {row[9] for row in rows if int(row[1].rpartition(":")[2], 16) == port and row[9] != "0"}


def _sockets_of(process: Path) -> set[str]:
    links: list[str] = []
    # Another user's process, one that has just ended, a file that has just been closed.
    with contextlib.suppress(OSError):
        for file in (process / "fd").iterdir():
            with contextlib.suppress(OSError):
                links.append(str(file.readlink()))
    return {link[8:-1] for link in links if link.startswith("socket:[")}
