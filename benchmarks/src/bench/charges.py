"""`make bench-charges`: card payments through the mocks of the providers.

Only charges runs, with the issuer, the providers' mocks, and the gateway, which forwards their
webhooks. One payment at a time first: its own
latency is its time less the time of its calls of the provider. Then sixteen at once.
"""

import asyncio
import time
from dataclasses import dataclass

import httpx
import uvloop
from prometheus_client.parser import text_string_to_metric_families

from bench.errors import BenchmarkError
from bench.measuring import cpu_of
from bench.operations import Latencies, latencies_of
from bench.report import table
from bench.results import RESULTS_LONG, fill_long
from bench.settings import number_of
from bench.system import System, Tell, infrastructure, start

COMMAND = "make bench-charges"
AT_ONCE = 16
WARM_UP = 100
MOST_OWN_P50_MS = 25.0
"""Source: the design of charges, own latency without the provider at one in flight."""
BODY = {"amount": 1000, "currency": "USD", "source": "tok_test", "email": "donor@example.com"}
CALLS = "provider_call_duration_seconds"


@dataclass(frozen=True, slots=True)
class Measured:
    """What one window has measured."""

    count: int
    rate: float
    times: Latencies
    provider_ms: float
    """Calls of the provider before the response, a charge."""
    cpu_us: dict[str, float]
    """A charge, by process."""


def charges(offset: int, tell: Tell) -> None:
    """Measure, require the goal, and write the figures."""
    count = number_of("COUNT", 2_000, 1_000_000)
    with infrastructure(
        offset, tell, PROFILE="dev", CHARGES_PER_MINUTE="10000000", READS_PER_MINUTE="10000000"
    ) as system:
        start(system, names=("charges", "gateway", "issuer", "stripe", "adyen"))
        alone, together = uvloop.run(_run(system, count))
    shown = results(alone, together)
    fill_long(COMMAND, shown)
    tell(f"wrote {RESULTS_LONG}\n\n{shown}")
    own_ms = alone.times.p50 - alone.provider_ms
    if own_ms > MOST_OWN_P50_MS:
        raise BenchmarkError(f"own latency {own_ms:.1f} ms at p50, over {MOST_OWN_P50_MS:.0f} ms")


async def _run(system: System, count: int) -> tuple[Measured, Measured]:
    urls = system.found.urls
    async with httpx.AsyncClient(base_url=urls["charges"][0], timeout=30) as http:
        wanted = {"sub": "usr-bench", "scope": "charges.write"}
        token = (await http.post(f"{urls['issuer'][0]}/token", json=wanted)).json()
        http.headers["Authorization"] = f"Bearer {token['access_token']}"
        await _window(system, http, WARM_UP, AT_ONCE)
        alone = await _window(system, http, max(1, count // 4), 1)
        return alone, await _window(system, http, count, AT_ONCE)


async def _window(system: System, http: httpx.AsyncClient, count: int, at_once: int) -> Measured:
    took_ms: list[float] = []
    left = iter(range(count))
    spent_s, cpu = await _provider_s(http), cpu_of(system)

    async def customer() -> None:
        for _ in left:
            began_s = time.perf_counter()
            response = await http.post("/api/v1/payments/usage", json=BODY)
            took_ms.append(1000 * (time.perf_counter() - began_s))
            if response.json().get("status") != "success":
                raise BenchmarkError(f"a charge has ended otherwise: {response.text}")

    began_s = time.perf_counter()
    await asyncio.gather(*(customer() for _ in range(at_once)))
    seconds = time.perf_counter() - began_s
    used = {name: 1e6 * (now - cpu[name]) / count for name, now in cpu_of(system).items()}
    provider_ms = 1000 * (await _provider_s(http) - spent_s) / count
    return Measured(count, count / seconds, latencies_of(took_ms), provider_ms, used)


async def _provider_s(http: httpx.AsyncClient) -> float:
    """Return the seconds that authorizations have taken: what a response waits for."""
    text = (await http.get("/metrics")).text
    return sum(
        sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == f"{CALLS}_sum" and sample.labels.get("call") == "authorize"
    )


def results(alone: Measured, together: Measured) -> str:
    """Return the figures in words and tables."""
    own_ms = alone.times.p50 - alone.provider_ms
    about = (
        f"{alone.count:,} charges one at a time: own latency without the provider {own_ms:.1f} ms"
        f" at p50 ({alone.times.p50:.1f} ms less {alone.provider_ms:.1f}). Then {together.count:,},"
        f" {AT_ONCE} at once. CPU is of one charge, captures and webhooks included."
    )
    names = ("charges", "postgres", "kafka")
    columns = ("at once", "charges/s", "p50 ms", "p95 ms", *(f"{name} CPU µs" for name in names))
    rows = [
        (
            str(at_once),
            f"{one.rate:,.0f}",
            f"{one.times.p50:,.1f}",
            f"{one.times.p95:,.1f}",
            *(f"{one.cpu_us[name]:,.0f}" for name in names),
        )
        for at_once, one in ((1, alone), (AT_ONCE, together))
    ]
    return f"{about}\n\n{table(columns, rows)}\n"
