"""The system under test: processes that are killed, stopped and waited for, by name."""

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
"""Those that read as a group and have tables; the gateway does neither."""
MOCKS = tuple(one.name for one in CORE if one.mock)
INSTANCES = 2
BACK_WITHIN_S = 240
"""Seconds; wide, since the machine may be shared. What it took is shown."""
LOOK_EVERY_S = 0.1
COMMAND_WITHIN_S = 600

Victim = tuple[str, int]


class NotHealedError(AssertionError):
    """The system did not do what it must in time."""


class Arena:
    """A running stack, those who pay, chance, and a log of what is done."""

    opening_minor = 1_000_000_000_00
    """What each account of the run begins with."""

    def __init__(self, stack: Stack, links: dict[str, Link], seed: int, log: Log) -> None:
        self.stack = stack
        self.links = links
        edges = [Edge(stack.description(), gateway) for gateway in range(INSTANCES)]
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
        """The first gateway's edge, and the operators' view."""
        return self.edges[0]

    async def close(self) -> None:
        """Close the clients' connections and the logs."""
        for edge in self.edges:
            await edge.close()
        self.operations.close()
        self.log.close()

    async def customers(self, count: int) -> list[Customer]:
        """Open accounts that nobody else pays from."""
        self.parties += 1
        name = f"{self.name}-{self.parties}"
        return await self.edge.open_customers(name, count, self.opening_minor)

    def victims(self, services: Iterable[str] = (*OURS, *MOCKS)) -> list[Victim]:
        """Every process of these services."""
        return [(name, n) for name in services for n in range(self.stack.instances[name])]

    async def kill(self, name: str, instance: int = 0) -> float:
        """SIGKILL a process; return the seconds until it was back and ready."""
        pid = await self.pid(name, instance)
        self.log.fault("SIGKILL", service=name, instance=instance, pid=pid)
        began_s = time.monotonic()
        os.kill(pid, signal.SIGKILL)
        await self.back(name, instance, pid)
        return time.monotonic() - began_s

    async def pause(self, name: str, instance: int, seconds: float) -> None:
        """SIGSTOP a process for so long."""
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
        """Wait until a process, another than the old one, is ready."""

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
        """Return a process's id; between two lives, wait for the next one."""

        async def alive() -> bool:
            try:
                return bool(self.stack.pid(name, instance))
            except StackError:
                return False

        await until(alive, BACK_WITHIN_S, f"{name} {instance} does not run")
        return self.stack.pid(name, instance)

    async def break_mock(self, mock: str, **rates: float) -> None:
        """Switch faults of a mock on, each at its rate; without any, switch all off."""
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
    """Return once it holds. Raises NotHealedError(otherwise) past the deadline."""
    deadline_s = time.monotonic() + within_s
    while not await true():
        if time.monotonic() > deadline_s:
            raise NotHealedError(f"{otherwise} (waited {within_s:.0f} s)")
        await asyncio.sleep(LOOK_EVERY_S)
