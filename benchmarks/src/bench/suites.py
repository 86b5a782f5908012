"""The suites: scenarios, system and output."""

from collections.abc import Callable, Iterable, Mapping

import uvloop

from bench import endurance, machine, results, workload
from bench.against import against
from bench.baseline import Baseline, measure_baseline
from bench.customers import Customers, open_customers
from bench.measuring import Measured
from bench.running import end_well, open_for_all, require, run_all, run_one
from bench.scenarios import CLOSED, CODE, OPEN, REPEATS, SMOKE, TELEMETRY
from bench.system import System, Tell, restart_with, started
from local_stack.telemetry.observation import observe

SMOKE_CUSTOMERS = 500
BASELINE_PAYMENTS = 6_000


def smoke(offset: int, tell: Tell) -> None:
    """Pay, repeat and use codes for some seconds; fails on wrong results, never on slowness."""
    with started(offset, tell) as system:
        customers = uvloop.run(open_customers(system.found, "smoke", SMOKE_CUSTOMERS))
        runs = run_all(system, SMOKE, customers)
        require(runs, end_well(system), in_time=False)


def bench(offset: int, tell: Tell) -> None:
    """Measure all short scenarios within ten minutes, and write the results."""
    with started(offset, tell) as system:
        about = machine.description(system)
        customers = open_for_all(system)
        since = workload.begin(system)
        closed = run_all(system, CLOSED, customers)
        opened = run_all(system, OPEN, customers)
        flows = run_all(system, (CODE, REPEATS), customers)
        telemetry = measure_telemetry(system, customers)
        runs = [*closed, *opened, *flows, *telemetry]
        ending = end_well(system)
        baseline = baseline_of(system, since, runs)
        found = results.Results(about, closed, opened, flows, telemetry, baseline, ending)
        results.write(found)
        tell(f"wrote {results.RESULTS}")
        require(runs, ending)


def bench_baseline(offset: int, tell: Tell) -> None:
    """Measure Kafka and PostgreSQL alone with a run's records and rows."""
    with started(offset, tell) as system:
        customers = open_for_all(system)
        since = workload.begin(system)
        runs = run_all(system, CLOSED[-1:], customers)
        require(runs, end_well(system))
        baseline = baseline_of(system, since, runs)
        tell(f"ratio to the baseline: {runs[-1].rate / baseline.rate:.2f}")


def baseline_of(system: System, since: workload.Beginning, runs: Iterable[Measured]) -> Baseline:
    """Repeat the records and rows of the runs."""
    made = sum(run.payments for run in runs)
    baseline = measure_baseline(system, workload.capture(system, since, made, BASELINE_PAYMENTS))
    system.tell(f"baseline: {baseline.rate:.0f} payments/s over {baseline.payments}")
    return baseline


def measure_telemetry(system: System, customers: Customers) -> list[Measured]:
    """Measure the cost of telemetry: off, sampled, and complete."""
    off, *on = TELEMETRY
    found = [run_one(system, off, customers)]
    observe(system.stack, system.tell)
    for scenario, sample in zip(on, ("0.05", "1"), strict=True):
        restart_with(system, TRACE_SAMPLE=sample)
        found.append(run_one(system, scenario, customers))
    return found


SUITES: Mapping[str, Callable[[int, Tell], None]] = {
    "against": against,
    "smoke": smoke,
    "bench": bench,
    "baseline": bench_baseline,
    "long": endurance.long,
}
