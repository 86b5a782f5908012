"""A collector that is down or does not respond slows no service and fills no memory."""

import asyncio
import os
import socket
import time
from collections.abc import Iterator
from itertools import cycle
from pathlib import Path

import aiohttp
import pytest

from local_stack.stack import Stack
from service_runtime.exporting import QUEUE_SPANS
from testbed.edge import CODE, Edge

pytestmark = [pytest.mark.stack, pytest.mark.timeout(300)]

STOPPED_WITHIN_S = 10
ANSWERED_WITHIN_S = 5
CLIENTS = 16
GROWTH_KIB = 16 * 1024
"""One more queue of spans would be 20 MiB."""


@pytest.fixture
def away(system: Stack) -> Iterator[Stack]:
    """Point every second service to a closed port, the others to a server that never responds."""
    with socket.socket() as closed, socket.socket() as silent:
        for port in (closed, silent):
            port.bind(("127.0.0.1", 0))
        silent.listen(1024)
        names = services_of(system)
        overrides = {
            name: {
                "READS_PER_MINUTE": "60000",
                "TRACE_SAMPLE": "1",
                "OTLP_ENDPOINT": f"127.0.0.1:{port.getsockname()[1]}",
            }
            for name, port in zip(names, cycle((silent, closed)), strict=False)
        }
        stack = type(system)(system.ports.offset, overrides=overrides)
        stack.start_services(instances=system.instances)
        yield stack
    system.start_services(instances=system.instances)


def services_of(system: Stack) -> list[str]:
    return [one.name for one in system.inventory.ours if one.name in system.instances]


def processes(system: Stack) -> dict[int, str]:
    """Return the process ids of all services."""
    return {
        system.pid(name, number): f"{name}.{number}"
        for name, count in system.instances.items()
        for number in range(count)
    }


def memory_kib(pids: dict[int, str]) -> dict[str, int]:
    pages = {name: Path(f"/proc/{pid}/statm").read_text().split()[1] for pid, name in pids.items()}
    return {name: int(count) * os.sysconf("SC_PAGE_SIZE") // 1024 for name, count in pages.items()}


async def ask(system: Stack, times: int) -> None:
    """Request an unknown path from the gateway; each request is a span."""
    url = system.description().url("gateway") + "/nowhere"
    async with aiohttp.ClientSession() as http:

        async def impatient() -> None:
            for _ in range(times // CLIENTS):
                async with http.get(url) as answer:
                    assert answer.status == 404

        await asyncio.gather(*[impatient() for _ in range(CLIENTS)])


def stopped_in_s(system: Stack, service: str) -> float:
    """Stop a service's first instance; return the seconds."""
    began_s = time.monotonic()
    system.stop_process(service)
    return time.monotonic() - began_s


async def test_payments_continue_memory_is_bounded_and_every_process_stops_in_time(
    system: Stack, edge: Edge, name: str, away: Stack
):
    [customer] = await edge.open_customers(name, 1, 100_000_00)
    began_s = time.monotonic()
    assert (await edge.pay(customer, name)).status_code == 200
    assert time.monotonic() - began_s < ANSWERED_WITHIN_S
    large = {"amount": "5200", "to_account": "payee-xyz"}
    assert (await edge.pay(customer, f"{name}-code", **large)).status_code == 403
    assert (await edge.pay(customer, f"{name}-code", **large, otp_code=CODE)).status_code == 200
    for transaction in (name, f"{name}-code"):
        assert (await edge.until(customer, transaction))["settlement_status"] == "SETTLED"

    await ask(system, QUEUE_SPANS)
    pids = processes(system)
    before = memory_kib(pids)
    await ask(system, QUEUE_SPANS)
    grown = {one: kib - before[one] for one, kib in memory_kib(pids).items()}
    assert {one: kib for one, kib in grown.items() if kib > GROWTH_KIB} == {}

    names = services_of(system)
    # All at once: each waits for its own exporter.
    took_s = await asyncio.gather(
        *(asyncio.to_thread(stopped_in_s, system, name) for name in names)
    )
    slow = {name: s for name, s in zip(names, took_s, strict=True) if s > STOPPED_WITHIN_S}
    assert slow == {}, took_s
