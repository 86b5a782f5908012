"""Running scenarios one after the other, and ending well: what all suites share."""

from collections.abc import Iterable
from dataclasses import replace

import uvloop

from bench import books, examination
from bench.customers import Customers, open_customers
from bench.errors import BenchmarkError
from bench.measuring import Measured, measure
from bench.report import cpu_us
from bench.results import Ending
from bench.scenarios import Scenario
from bench.system import System
from local_stack.waiting import elapsed_since, now_s, wait_until

CUSTOMERS = 20_000
"""At ten a minute each they may send 3,333 requests a second."""
MESSAGES_WITHIN_S = 420
LEAST_MESSAGES_PER_S = 20
"""Far below what it reaches: a gate on standing still, not on pace."""


def open_for_all(system: System) -> Customers:
    """Open so many customers that the greatest rate meets no limit of theirs."""
    system.tell(f"opening {CUSTOMERS} customers")
    return uvloop.run(open_customers(system.found, "bench", CUSTOMERS))


def run_all(system: System, scenarios: Iterable[Scenario], customers: Customers) -> list[Measured]:
    """Run one scenario after the other."""
    return [run_one(system, scenario, customers) for scenario in scenarios]


def run_one(system: System, scenario: Scenario, customers: Customers) -> Measured:
    """Run a scenario and tell its figures, and its faults."""
    uvloop.run(customers.keep_tokens_valid(system.found))
    found = measure(system, scenario, customers)
    system.tell(summary(found))
    for fault in found.faults:
        system.tell(f"  does not count: {fault}")
    return found


def require(runs: Iterable[Measured]) -> None:
    """Raise BenchmarkError where a run does not count."""
    faults = [f"{run.scenario.name}: {fault}" for run in runs for fault in run.faults]
    if faults:
        raise BenchmarkError("not every run counts:\n  " + "\n  ".join(faults))


def summary(found: Measured) -> str:
    """Return a run in one line."""
    steps = ", ".join(
        f"{step} p50 {one.p50:.1f} p95 {one.p95:.1f} p99 {one.p99:.1f} p99.9 {one.p999:.1f} ms"
        for step, one in found.answers.items()
    )
    return (
        f"{found.scenario.name}: {found.rate:.0f}/s, {steps};"
        f" settled p99 {found.settled.p99:.0f} ms; {cpu_us(found):.0f} µs CPU;"
        f" at rest after {found.rest_s:.1f} s; {found.outcomes} {found.statuses}"
    )


def end_well(system: System) -> Ending:
    """Wait until all messages are sent, and check everything across the services."""
    waiting, start_s = books.unsent(system), now_s()
    wait_until(
        lambda: not books.unsent(system),
        seconds=min(MESSAGES_WITHIN_S, 30 + waiting / LEAST_MESSAGES_PER_S),
        otherwise=f"of {waiting} messages some are still to be sent: read notification's log",
        pause_s=0.5,
    )
    ending = Ending(books.messages(system), waiting, elapsed_since(start_s), 0)
    system.tell(
        f"messages: {ending.messages}, {waiting} of them in the last {ending.seconds:.1f} s"
    )
    if set(ending.messages) - {"DELIVERED"}:
        raise BenchmarkError(f"not delivered: {ending.messages}; next: read notification's log")
    ending = replace(ending, checked=examination.examine(system))
    system.tell(f"countersign check is clean over {ending.checked} payments")
    return ending
