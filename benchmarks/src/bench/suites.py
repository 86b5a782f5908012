"""The commands: which scenarios, on what system, and what is made of them."""

from collections.abc import Callable, Iterable, Mapping

import uvloop

from bench import books, examination
from bench.customers import Customers, open_customers
from bench.errors import BenchmarkError
from bench.measuring import GENERATOR, Measured, measure
from bench.scenarios import SMOKE, Scenario
from bench.system import System, Tell, started
from local_stack.waiting import wait_until

SMOKE_CUSTOMERS = 500
MESSAGES_SENT_WITHIN_S = 60


def smoke(offset: int, tell: Tell) -> None:
    """Pay, repeat and type codes for some seconds: fails on correctness, never on time."""
    with started(offset, tell) as system:
        customers = uvloop.run(open_customers(system.found, "smoke", SMOKE_CUSTOMERS))
        run_all(system, SMOKE, customers)
        end_well(system)


def run_all(system: System, scenarios: Iterable[Scenario], customers: Customers) -> list[Measured]:
    """Run one scenario after the other. Raises BenchmarkError at the first that does not count."""
    return [run_one(system, scenario, customers) for scenario in scenarios]


def run_one(system: System, scenario: Scenario, customers: Customers) -> Measured:
    """Run a scenario and tell its figures. Raises BenchmarkError where it does not count."""
    found = measure(system, scenario, customers)
    system.tell(summary(found))
    if found.faults:
        faults = "\n  ".join(str(fault) for fault in found.faults)
        raise BenchmarkError(f"{scenario.name} does not count:\n  {faults}")
    return found


def summary(found: Measured) -> str:
    """Return a run in one line."""
    steps = ", ".join(
        f"{step} p50 {one.p50:.1f} p95 {one.p95:.1f} p99 {one.p99:.1f} p99.9 {one.p999:.1f} ms"
        for step, one in found.answers.items()
    )
    cpu = sum(used for name, used in found.cpu_us.items() if name != GENERATOR)
    return (
        f"{found.scenario.name}: {found.rate:.0f}/s, {steps};"
        f" settled p99 {found.settled.p99:.0f} ms; {cpu:.0f} us CPU;"
        f" at rest after {found.rest_s:.1f} s; {found.outcomes} {found.statuses}"
    )


def end_well(system: System) -> None:
    """Wait until all messages are sent, and check everything across the services."""
    wait_until(
        lambda: not books.unsent(system),
        seconds=MESSAGES_SENT_WITHIN_S,
        otherwise="messages to customers are still to be sent: read notification's log",
        pause_s=0.5,
    )
    sent = books.messages(system)
    system.tell(f"messages: {sent}")
    if set(sent) - {"DELIVERED"}:
        raise BenchmarkError(f"messages were not delivered: {sent}; next: read notification's log")
    system.tell(f"countersign check is clean over {examination.examine(system)} payments")


SUITES: Mapping[str, Callable[[int, Tell], None]] = {"smoke": smoke}
