"""The system under test, and the control of its processes."""

import asyncio
import os
import signal
import time
from collections.abc import Awaitable, Callable, Iterable
from random import Random
from typing import Any

import httpx
from chaos_clients import Clients
from chaos_links import Link
from chaos_log import Log

from local_stack import databases
from local_stack.errors import StackError
from local_stack.inventory import INFRASTRUCTURE, load_inventory
from local_stack.ports import is_listening
from local_stack.readiness import is_ready
from local_stack.stack import Stack
from ops.clients.addresses import find_addresses
from ops.clients.system import System
from testbed.command import Command
from testbed.edge import Customer, Edge

CORE = load_inventory().core
OURS = tuple(one.name for one in CORE if not one.mock and one.name != "ops")
GROUPS = tuple(one.name for one in CORE if one.database)
"""The services with a consumer group and tables; the gateway has neither."""
MOCKS = tuple(one.name for one in CORE if one.mock)
INSTANCES = 2
BACK_WITHIN_S = 240
"""Seconds; generous, because the machine may be shared. The real time is reported."""
LOOK_EVERY_S = 0.1
COMMAND_WITHIN_S = 600

Victim = tuple[str, int]


class NotHealedError(AssertionError):
    """The system did not recover in time."""


class Arena:
    """A running stack with clients, randomness and a log."""

    opening_minor = 1_000_000_000_00
    """The opening balance of each account."""

    def __init__(
        self, stack: Stack, links: dict[str, Link], seed: int, log: Log, instances: int = INSTANCES
    ) -> None:
        self.stack = stack
        self.links = links
        edges = [Edge(stack.description(), gateway) for gateway in range(instances)]
        self.edges = edges
        self.log = log
        self.clients = Clients(edges, log)
        self.countersign = Command(stack.ports.offset, COMMAND_WITHIN_S)
        self.operations = System(find_addresses({}, stack.ports.offset))
        self.chance = Random(seed)
        self.name = f"c{seed}"
        self.parties = 0

    @property
    def edge(self) -> Edge:
        """The client of the first gateway and of the admin routes."""
        return self.edges[0]

    async def close(self) -> None:
        """Close the clients' connections and the logs."""
        for edge in self.edges:
            await edge.close()
        self.operations.close()
        self.log.close()

    async def customers(self, count: int) -> list[Customer]:
        """Open accounts for this fault only."""
        self.parties += 1
        name = f"{self.name}-{self.parties}"
        return await self.edge.open_customers(name, count, self.opening_minor)

    def victims(self, services: Iterable[str] = (*OURS, *MOCKS)) -> list[Victim]:
        """Return the processes of these services."""
        return [(name, n) for name in services for n in range(self.stack.instances[name])]

    async def kill(self, name: str, instance: int = 0) -> float:
        """SIGKILL a process; return the seconds until it was ready again."""
        pid = await self.pid(name, instance)
        self.log.fault("SIGKILL", service=name, instance=instance, pid=pid)
        began_s = time.monotonic()
        os.kill(pid, signal.SIGKILL)
        await self.back(name, instance, pid)
        return time.monotonic() - began_s

    async def pause(self, name: str, instance: int, seconds: float) -> None:
        """SIGSTOP a process for some seconds."""
        pid = await self.pid(name, instance)
        self.log.fault("SIGSTOP", service=name, instance=instance, seconds=round(seconds, 1))
        os.kill(pid, signal.SIGSTOP)
        try:
            await asyncio.sleep(seconds)
        finally:
            os.kill(pid, signal.SIGCONT)
            self.log.fault("SIGCONT", service=name, instance=instance)

    async def stop(self, name: str, instance: int = 0) -> None:
        """SIGTERM a process and keep it stopped."""
        if name == "gateway":
            self.clients.stopping.add(instance)
        self.log.fault("SIGTERM", service=name, instance=instance)
        await asyncio.to_thread(self.stack.stop_process, name, instance)

    async def start(self, name: str, instance: int = 0) -> None:
        """Start a process that was stopped, and wait until it is ready."""
        self.log.fault("start", service=name, instance=instance)
        await asyncio.to_thread(self.stack.start_process, name, instance)
        await self.back(name, instance)
        if name == "gateway":
            self.clients.stopping.discard(instance)

    async def back(self, name: str, instance: int = 0, old_pid: int = 0) -> None:
        """Wait until a new process is ready."""

        async def there() -> bool:
            try:
                if self.stack.pid(name, instance) == old_pid:
                    return False
            except StackError:
                return False
            return await asyncio.to_thread(self._answers, name, instance)

        await until(there, BACK_WITHIN_S, f"{name} {instance} is not back")

    async def all_back(self) -> None:
        """Wait until every process is ready."""
        for name, instance in [(name, 0) for name in INFRASTRUCTURE] + self.victims():
            await self.back(name, instance)

    async def pid(self, name: str, instance: int = 0) -> int:
        """Return a process's id; wait if it is restarting."""

        async def alive() -> bool:
            try:
                return bool(self.stack.pid(name, instance))
            except StackError:
                return False

        await until(alive, BACK_WITHIN_S, f"{name} {instance} does not run")
        return self.stack.pid(name, instance)

    async def break_mock(self, mock: str, **rates: float) -> None:
        """Set the faults of a mock; without any, reset all."""
        self.log.fault("mock", service=mock, **rates)
        url = self.stack.description().url(mock) + "/faults"
        async with httpx.AsyncClient(timeout=20) as http:
            if not rates:
                (await http.delete(url)).raise_for_status()
            for kind, rate in rates.items():
                order: dict[str, Any] = {"kind": kind, "rate": rate}
                (await http.put(url, json=order)).raise_for_status()

    def _answers(self, name: str, instance: int) -> bool:
        match name:
            case "kafka":
                return is_listening(self.stack.ports.kafka)
            case "redis":
                return is_listening(self.stack.ports.redis)
            case "postgres":
                return databases.is_ready(self.stack.postgres, self.stack.credentials)
            case _:
                return is_ready(self.stack.description().url(name, instance))


async def until(true: Callable[[], Awaitable[bool]], within_s: float, otherwise: str) -> None:
    """Wait until the condition holds. Raises NotHealedError(otherwise) after the timeout."""
    deadline_s = time.monotonic() + within_s
    while not await true():
        if time.monotonic() > deadline_s:
            raise NotHealedError(f"{otherwise} (waited {within_s:.0f} s)")
        await asyncio.sleep(LOOK_EVERY_S)
