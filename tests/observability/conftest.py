"""The whole system with telemetry, shortened rules, and traffic."""

import asyncio
import json
import os
import sys
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from local_stack.stack import Stack
from local_stack.telemetry.observation import addresses, observe
from local_stack.telemetry.processes import Pace, Processes
from local_stack.waiting import wait_until
from observability.checking import Prometheus
from observability.rules import write_rules
from observability.timing import Timing
from testbed.edge import Edge
from testbed.stack import DEFAULT_OFFSET, only_run

sys.path.insert(0, str(Path(__file__).parent))
from traffic import GROUPS

# A twentieth of real time, with at least two reports of the services, which come every 10 s.
HURRIED = Timing(0.05, shortest_s=25)
EVERY_S = 2
DECIDE_S = 2
SEEN_WITHIN_S = 120
# A payment without a response from risk fails soon enough for the test.
OVERRIDES = {
    "confirm": {"STATE_TIMEOUT_S": "20"},
    "ops": {"CHECK_EVERY_S": "10"},
    "webhooks": {"WEBHOOK_LOCAL_TARGETS": "true"},
}


class Observed:
    """A running system with its telemetry."""

    def __init__(self, stack: Stack, processes: Processes) -> None:
        self.stack = stack
        self.prometheus = Prometheus(processes.url("prometheus_web"))
        self.jaeger = processes.url("jaeger_web")
        self.victorialogs = processes.url("victorialogs_web")
        self.addresses = addresses(processes)

    def trace(self, trace_id: str) -> dict[str, Any]:
        """Return a trace of Jaeger's API: `spans` and `processes`; empty if unknown."""
        answer = httpx.get(f"{self.jaeger}/api/traces/{trace_id}", timeout=10)
        return dict(answer.json()["data"][0]) if answer.is_success else {}

    def traces(self, service: str, limit: int = 50) -> list[dict[str, Any]]:
        """Return the latest traces of a service, each with `spans` and `processes`."""
        query = {"service": service, "limit": limit, "lookback": "1h"}
        answer = httpx.get(f"{self.jaeger}/api/traces", params=query, timeout=20)
        return list(answer.raise_for_status().json()["data"])

    async def seen(self, look: Callable[[], Any]) -> Any:
        """Poll until there is a result. Raises TimeoutError."""
        async with asyncio.timeout(SEEN_WITHIN_S):
            while True:
                if found := look():
                    return found
                await asyncio.sleep(1)

    def services(self) -> list[str]:
        """Return the services with spans in Jaeger."""
        answer = httpx.get(f"{self.jaeger}/api/services", timeout=20)
        return list(answer.raise_for_status().json()["data"])

    def log_lines(self) -> bytes:
        """Return the services' log records that the collector has written, as OTLP JSON."""
        path = self.stack.layout.logs / "otlp.jsonl"
        return path.read_bytes() if path.exists() else b""

    def lines_of(self, trace_id: str) -> list[dict[str, str]]:
        """Return the log lines of a trace, as the page of `make observe` queries them."""
        query = {"query": f'trace_id:"{trace_id}"'}
        answer = httpx.get(f"{self.victorialogs}/select/logsql/query", params=query, timeout=10)
        return [json.loads(line) for line in answer.raise_for_status().text.splitlines()]

    def fires(self, alert: str, **labels: str) -> bool:
        """Return whether the alert fires with these labels."""
        fired = self.prometheus.firing().get(alert, [])
        return any(labels.items() <= one.items() for one in fired)

    def await_alert(self, alert: str, *, within_s: float = 120, **labels: str) -> None:
        """Wait until it fires. Raises StackError after the timeout."""
        wait_until(
            lambda: self.fires(alert, **labels),
            seconds=within_s,
            otherwise=f"{alert} {labels} does not fire, but {self.prometheus.firing()}",
            pause_s=1,
        )

    def await_calm(self, alert: str, *, within_s: float = 180, **labels: str) -> None:
        """Wait until it is resolved. Raises StackError after the timeout."""
        wait_until(
            lambda: not self.fires(alert, **labels),
            seconds=within_s,
            otherwise=f"{alert} {labels} does not resolve",
            pause_s=1,
        )


@pytest.fixture(scope="session")
def observed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Observed]:
    """Telemetry and the groups with dashboards, once, with rules of seconds instead of minutes."""
    offset = int(os.environ.get("COUNTERSIGN_TEST_OFFSET", DEFAULT_OFFSET))
    rules = tmp_path_factory.mktemp("rules")
    write_rules(rules, HURRIED)
    with only_run(offset):
        stack = Stack(offset, overrides=OVERRIDES)
        stack.reset()
        try:
            stack.start_infrastructure()
            processes = observe(stack, print, Pace(EVERY_S, DECIDE_S, rules))
            stack.start_services(one.name for one in stack.inventory.of_groups(GROUPS))
            yield Observed(stack, processes)
        finally:
            stack.stop()


@pytest.fixture(scope="session")
async def edge(observed: Observed) -> AsyncIterator[Edge]:
    """The edge of the observed system."""
    edge = Edge(observed.stack.description())
    yield edge
    await edge.close()


@pytest.fixture
def name() -> str:
    """A unique name for accounts and transactions."""
    # Without digits: enough of them look like the number of a card.
    return "o" + uuid.uuid4().hex[:8].translate(str.maketrans("0123456789", "ghijklmnop"))
