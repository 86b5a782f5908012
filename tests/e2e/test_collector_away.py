"""A collector that is down or silent: nobody waits for it, and nothing piles up for it."""

import asyncio
import os
import socket
import time
from collections.abc import Iterator
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
"""A queue of spans more would be 20 MiB."""


@pytest.fixture(scope="module", autouse=True)
def _as_before(system: Stack) -> Iterator[None]:
    yield
    system.start_services(instances=system.instances)


@pytest.fixture(params=["refuses", "is silent"])
def away(request, system: Stack, monkeypatch) -> Iterator[None]:
    """Send all services' telemetry to a port where nobody listens, or nobody ever answers."""
    with socket.socket() as port:
        port.bind(("127.0.0.1", 0))
        if request.param == "is silent":
            port.listen(1024)
        monkeypatch.setenv("OTLP_ENDPOINT", f"127.0.0.1:{port.getsockname()[1]}")
        monkeypatch.setenv("TRACE_SAMPLE", "1")
        system.start_services(instances=system.instances)
        yield


def processes(system: Stack) -> dict[int, str]:
    """Return every service's processes, by id."""
    return {
        system.pid(name, number): f"{name}.{number}"
        for name, count in system.instances.items()
        for number in range(count)
    }


def memory_kib(pids: dict[int, str]) -> dict[str, int]:
    pages = {name: Path(f"/proc/{pid}/statm").read_text().split()[1] for pid, name in pids.items()}
    return {name: int(count) * os.sysconf("SC_PAGE_SIZE") // 1024 for name, count in pages.items()}


async def ask(system: Stack, times: int) -> None:
    """Ask the gateway for what is not there: each time a span."""
    url = system.description().url("gateway") + "/nowhere"
    async with aiohttp.ClientSession() as http:

        async def impatient() -> None:
            for _ in range(times // CLIENTS):
                async with http.get(url) as answer:
                    assert answer.status == 404

        await asyncio.gather(*[impatient() for _ in range(CLIENTS)])


def stopped_in_s(system: Stack, service: str) -> float:
    """Ask a service's first instance to stop; return how long that took."""
    began_s = time.monotonic()
    system.stop_process(service)
    return time.monotonic() - began_s


async def test_payments_go_on_memory_stays_and_every_process_stops_in_time(
    system: Stack, edge: Edge, name: str, away: None
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

    took_s = {one.name: stopped_in_s(system, one.name) for one in system.inventory.ours}
    assert {one: s for one, s in took_s.items() if s > STOPPED_WITHIN_S} == {}, took_s
