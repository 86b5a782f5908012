"""The suites: scenarios, system and output."""

from collections.abc import Callable, Mapping

import uvloop

from bench import machine, results
from bench.against import against
from bench.backlog import backlog
from bench.banks import banks
from bench.baseline import measure_baseline
from bench.charges import charges
from bench.console import console
from bench.customers import open_customers
from bench.encryption import encryption
from bench.flat import flat
from bench.protection import protection
from bench.running import end_well, open_for_all, require, run_all, run_one
from bench.scale import brokers, scale
from bench.scenarios import CLOSED, CODE, OPEN, REPEATS, SMOKE, TRANSPORTS, WARM_UP
from bench.screening import screening
from bench.soak import soak
from bench.streams import streams
from bench.system import Tell, started
from bench.telemetry import measure_telemetry
from bench.webhooks import webhooks

SMOKE_CUSTOMERS = 500


def smoke(offset: int, tell: Tell) -> None:
    """Pay, repeat and use codes for some seconds; fails on wrong results, never on slowness."""
    with started(offset, tell) as system:
        customers = uvloop.run(open_customers(system, "smoke", SMOKE_CUSTOMERS))
        runs = run_all(system, SMOKE, customers)
        require(runs, end_well(system), in_time=False)


def bench(offset: int, tell: Tell) -> None:
    """Measure all short scenarios within ten minutes, and write the results."""
    with started(offset, tell) as system:
        about = machine.description()
        customers = open_for_all(system)
        run_one(system, WARM_UP, customers)
        closed = run_all(system, CLOSED, customers)
        opened = run_all(system, OPEN, customers)
        flows = run_all(system, (CODE, REPEATS), customers)
        transports = run_all(system, TRANSPORTS, customers)
        telemetry = measure_telemetry(system, customers)
        ending = end_well(system)
        baseline = measure_baseline(system, max(closed, key=lambda run: len(run.payment_ids)))
        found = results.Results(
            about, closed, opened, flows, transports, telemetry, baseline, ending
        )
        results.write(found)
        tell(f"wrote {results.RESULTS}\n\n{results.headline(found)}\n\n{results.goals(found)}")
        require(found.runs, ending)


def bench_baseline(offset: int, tell: Tell) -> None:
    """Measure Kafka and PostgreSQL alone with a run's records and rows."""
    with started(offset, tell) as system:
        customers = open_for_all(system)
        runs = run_all(system, CLOSED[-1:], customers)
        require(runs, end_well(system))
        baseline = measure_baseline(system, runs[0])
        tell(f"ratio to the baseline: {runs[-1].rate / baseline.rate:.2f}")


SUITES: Mapping[str, Callable[[int, Tell], None]] = {
    "against": against,
    "smoke": smoke,
    "bench": bench,
    "baseline": bench_baseline,
    "flat": flat,
    "soak": soak,
    "backlog": backlog,
    "banks": banks,
    "protection": protection,
    "webhooks": webhooks,
    "charges": charges,
    "scale": scale,
    "brokers": brokers,
    "streams": streams,
    "encryption": encryption,
    "console": console,
    "screening": screening,
}
