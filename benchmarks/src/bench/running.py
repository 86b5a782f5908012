"""Running scenarios and the final checks, for all suites."""

from collections.abc import Iterable, Iterator, Mapping

import uvloop

from bench import examination, outcomes
from bench.customers import Customers, open_customers
from bench.errors import BenchmarkError
from bench.gate import Ending, Fault
from bench.measuring import Measured, measure
from bench.meters import lag, spans_of_topics
from bench.report import cpu_us
from bench.scenarios import Scenario
from bench.system import System
from local_stack.waiting import elapsed_since, now_s, wait_until
from payment_schemas.events.record import NotificationDelivered

CUSTOMERS = 20_000
"""With ten requests a minute each, they may send 3,333 a second."""
GOOD_ENDS = {"delivered", "obsolete"}
"""A code that was used before its message was sent is not sent; all other messages are."""
MESSAGES_WITHIN_S = 420
POLL_S = 0.5


def open_for_all(system: System) -> Customers:
    """Open enough customers for the highest rate within their limits."""
    system.tell(f"opening {CUSTOMERS} customers")
    return uvloop.run(open_customers(system, "bench", CUSTOMERS))


def run_all(system: System, scenarios: Iterable[Scenario], customers: Customers) -> list[Measured]:
    """Run one scenario after the other."""
    return [run_one(system, scenario, customers) for scenario in scenarios]


def run_one(system: System, scenario: Scenario, customers: Customers) -> Measured:
    """Run a scenario after the messages of the last one are sent; report figures and faults."""
    send_messages(system)
    uvloop.run(customers.keep_tokens_valid(system.found))
    found = measure(system, scenario, customers)
    system.tell(summary(found))
    for fault in found.faults:
        system.tell(f"  does not count: {fault}")
    return found


def require(runs: Iterable[Measured], ending: Ending | None, *, in_time: bool = True) -> None:
    """Raise BenchmarkError if a run or the final check does not count."""
    faults = [
        f"{run.scenario.name}: {fault}"
        for run in runs
        for fault in run.faults
        if in_time or not fault.is_slowness
    ]
    faults += [f"the end: {fault}" for fault in (ending.faults if ending else ())]
    if faults:
        raise BenchmarkError("not everything counts:\n  " + "\n  ".join(faults))


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
    topics, start_s = {NotificationDelivered.topic}, now_s()
    before = sum(end for _, end in spans_of_topics(system, topics).values())
    send_messages(system)
    seconds, spans = elapsed_since(start_s), spans_of_topics(system, topics)
    sent, messages = (
        sum(end for _, end in spans.values()) - before,
        outcomes.messages(system, spans),
    )
    system.tell(f"messages: {messages}, {sent} of them in the last {seconds:.1f} s")
    checked, wrong = examination.examine(system)
    system.tell(f"countersign check: {checked} payments, {len(wrong)} violations")
    faults = [*_undelivered(messages), *(Fault(what, "run it again") for what in wrong[:3])]
    for fault in faults:
        system.tell(f"  does not count: {fault}")
    return Ending(messages, sent, seconds, checked, faults)


def send_messages(system: System) -> None:
    """Wait until all messages are sent; they take CPU from what is measured next.

    Raises StackError if messages remain.
    """
    wait_until(
        lambda: not outcomes.unfinished(system, "notification") and not _unread(system),
        seconds=MESSAGES_WITHIN_S,
        otherwise="messages to customers remain unsent: read notification's log",
        pause_s=POLL_S,
    )


def _unread(system: System) -> int:
    return lag(system, ["notification"])["notification"]


def _undelivered(messages: Mapping[str, int]) -> Iterator[Fault]:
    for status, count in messages.items():
        if status not in GOOD_ENDS:
            yield Fault(f"{count} messages to customers are {status}", "read notification's log")
