"""`make bench-webhooks`: 10,000 deliveries, while other endpoints of the same owners misbehave.

Only webhooks runs, with the development issuer. The changes of payments are published as confirm
does, at a steady rate; a delivery's time is from the change to its reception at the endpoint.
"""

import asyncio
import json
from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID, uuid4

import httpx
import uvloop

from bench.errors import BenchmarkError
from bench.measuring import cpu_of
from bench.operations import Latencies, latencies_of
from bench.report import table
from bench.results import RESULTS_LONG, fill_long
from bench.settings import number_of
from bench.system import System, Tell, infrastructure, start
from payment_schemas.events.confirmation import PaymentStatusChanged
from payment_schemas.ids import EventId
from service_runtime.clock import SystemClock
from service_runtime.messages import ProducerRecord
from service_runtime.producer import KafkaProducer
from testbed.hostile import HostileServer
from testkit.events import event_of, outgoing_of

COMMAND = "make bench-webhooks"
EMITTER = "confirm"
OWNERS, GOOD = 10, 2
HOSTILE = (
    "/hangs", "/fails", "/redirects", "/large-body", "/large-head", "/trickles", "/rubbish",
    "/http2-frames", "/early-close", "/trailers",
)  # fmt: skip
"""One an owner, besides two that respond. `/large-body` and `/trailers` respond with 200."""
ENDPOINTS = "/api/v1/webhooks/endpoints"
CHUNK_S = 0.05
DONE_WITHIN_S = 120
WITHIN_S = 10


@dataclass(frozen=True, slots=True)
class Sent:
    """What a run has measured."""

    count: int
    rate: float
    """Deliveries a second, from the first change to the last reception."""
    times: Latencies
    cpu_us: dict[str, float]
    """A delivery, by process."""
    calls: Counter[str]
    flooded: int


def webhooks(offset: int, tell: Tell) -> None:
    """Measure, require that every delivery arrived, and write the figures."""
    count, rate = number_of("COUNT", 10_000, 1_000_000), number_of("RATE", 200, 5_000)
    with infrastructure(
        offset, tell, PROFILE="dev", WEBHOOK_LOCAL_TARGETS="true", RATE_LIMIT_PER_MINUTE="10000"
    ) as system:
        start(system, names=("webhooks", "issuer"))
        sent = uvloop.run(_run(system, count, rate))
    shown = results(sent, rate)
    fill_long(COMMAND, shown)
    tell(f"wrote {RESULTS_LONG}\n\n{shown}")


async def _run(system: System, count: int, rate: int) -> Sent:
    async with HostileServer() as server:
        await _add_endpoints(system, server)
        before, began = cpu_of(system), SystemClock().now()
        await _publish(system, count // (OWNERS * GOOD), rate)
        await _wait_for(server, count)
        used = {name: now - before[name] for name, now in cpu_of(system).items()}
        return _sent(server, count, began, used)


async def _add_endpoints(system: System, server: HostileServer) -> None:
    urls = system.found.urls
    async with httpx.AsyncClient(timeout=WITHIN_S) as http:
        for number in range(OWNERS):
            wanted = {"sub": _owner(number), "scope": "webhooks.write"}
            token = (await http.post(f"{urls['issuer'][0]}/token", json=wanted)).json()
            headers = {"Authorization": f"Bearer {token['access_token']}"}
            paths = [HOSTILE[number], *(f"/good?{number}-{one}" for one in range(GOOD))]
            for path in paths:
                body = {"url": server.url(path)}
                address = urls["webhooks"][0] + ENDPOINTS
                (await http.post(address, json=body, headers=headers)).raise_for_status()


def _owner(number: int) -> str:
    return f"owner-{number}"


async def _publish(system: System, payments: int, rate: int) -> None:
    """Publish one change of each payment of each owner, so many a second."""
    loop, chunk = asyncio.get_running_loop(), max(1, round(rate * CHUNK_S))
    owners = [_owner(number) for _ in range(payments) for number in range(OWNERS)]
    began_s = loop.time()
    async with KafkaProducer(system.found.brokers_as(EMITTER), "bench") as producer:
        for first in range(0, len(owners), chunk):
            acknowledged = [
                await producer.send(_record(owner)) for owner in owners[first : first + chunk]
            ]
            await asyncio.gather(*acknowledged)
            await asyncio.sleep(max(0.0, began_s + (first + chunk) / rate - loop.time()))


def _record(owner: str) -> ProducerRecord:
    now, payment = SystemClock().now(), uuid4()
    change = event_of(
        PaymentStatusChanged,
        payment_id=payment,
        user_id=owner,
        transaction_id=str(payment),
        sequence=2,
        status="SUCCESS",
        settlement_status="PENDING",
        occurred_at=now,
    )
    return outgoing_of(change, EventId(UUID(int=payment.int ^ 1)), now)


async def _wait_for(server: HostileServer, count: int) -> None:
    try:
        async with asyncio.timeout(DONE_WITHIN_S):
            while len(_ids(server)) < count:  # noqa: ASYNC110 - the server sets no event
                await asyncio.sleep(0.1)
    except TimeoutError:
        arrived = f"{len(_ids(server)):,} of {count:,} deliveries arrived"
        raise BenchmarkError(f"{arrived}; next: read the log of webhooks") from None


def _ids(server: HostileServer) -> set[tuple[str, str]]:
    return {(one.query, one.headers["webhook-id"]) for one in server.received}


def _sent(server: HostileServer, count: int, began: datetime, used: dict[str, float]) -> Sent:
    changed = [
        datetime.fromisoformat(json.loads(one.body)["timestamp"]).timestamp()
        for one in server.received
    ]
    times = [one.at_s - at for one, at in zip(server.received, changed, strict=True)]
    seconds = max(one.at_s for one in server.received) - began.timestamp()
    return Sent(
        count,
        count / seconds,
        latencies_of(1000 * one for one in times),
        {name: seconds_used / count * 1e6 for name, seconds_used in used.items()},
        server.calls,
        server.flooded,
    )


def results(sent: Sent, rate: int) -> str:
    """Return the figures in words and tables."""
    others = sum(sent.calls[path] for path in HOSTILE)
    about = (
        f"{sent.count:,} deliveries to {OWNERS * GOOD} endpoints that respond, {rate}"
        f" changes/s published; {len(HOSTILE)} other endpoints of the same owners misbehave,"
        f" each with {sent.count // (OWNERS * GOOD):,} deliveries of its own. All arrived;"
        f" {sent.calls['/good'] - sent.count:,} came twice."
    )
    times = sent.times
    figures = table(
        (
            "deliveries/s",
            "p50 ms",
            "p95 ms",
            "p99 ms",
            "webhooks CPU µs each",
            "PostgreSQL",
            "Kafka",
        ),
        [
            (
                f"{sent.rate:,.0f}",
                f"{times.p50:,.0f}",
                f"{times.p95:,.0f}",
                f"{times.p99:,.0f}",
                *(f"{sent.cpu_us[name]:,.0f}" for name in ("webhooks", "postgres", "kafka")),
            )
        ],
    )
    calls = table(("endpoint", "calls"), [(path, f"{sent.calls[path]:,}") for path in HOSTILE])
    flood = f"{others:,} calls of these; {sent.flooded / 1e6:,.0f} MB of floods went out to us."
    return f"{about}\n\n{figures}\n{calls}\n{flood}\n"
