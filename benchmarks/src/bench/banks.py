"""`make bench-banks`: instructions through a bank on Kafka and a bank over HTTP, in turn.

Only settlement, the banks and what they need run. So a figure is the cost of this hop: from the
record in `settlement-queue` to SETTLED, the bank included. With KILLS=20 the bank on Kafka is
killed as often at work, and sends its reports twice, late and out of order.
"""

from collections.abc import Sequence
from datetime import datetime
from statistics import median

from bench import bank_kills, meters, outcomes
from bench.errors import BenchmarkError
from bench.instructions import (
    HTTP,
    KAFKA,
    Bank,
    Passed,
    books_of,
    faults_of,
    instructions_to,
    outcome_of,
    publish,
    spans_now,
    wait_for,
)
from bench.measuring import cpu_of
from bench.report import Cells, table
from bench.results import RESULTS_LONG, fill_long
from bench.settings import number_of
from bench.system import System, Tell, infrastructure, start
from service_runtime.clock import SystemClock

COMMAND = "make bench-banks"
PROCESSES = ("settlement", "gateway", "issuer", "ops", HTTP.process, KAFKA.process)
"""The gateway serves our public keys; issuer and ops are needed to add the bank on Kafka."""
WARM_UP = 5_000
"""Instructions a bank; until then Kafka's JVM compiles more than it does."""
GOAL = 1_500
"""Instructions a second through a bank on Kafka, on two cores."""


def banks(offset: int, tell: Tell) -> None:
    """Measure both transports; with KILLS, kill the bank on Kafka instead."""
    kills = bank_kills.wanted()
    count = number_of("COUNT", 10_000 if kills else 20_000, 1_000_000)
    bank_kills.require_enough(count, kills)
    rounds = number_of("ROUNDS", 3, 20)
    # Production refuses PostgreSQL without TLS; for this hop the profile changes nothing else.
    with infrastructure(offset, tell, PROFILE="dev") as system:
        start(system, names=PROCESSES)
        since = SystemClock().now()
        if kills:
            command = bank_kills.COMMAND
            one, disorder = bank_kills.killed(system, count, kills)
            passed, shown = [one], bank_kills.summary(one, kills, disorder)
        else:
            command, passed = COMMAND, _in_turn(system, count, rounds)
            shown = results(passed)
        _require(system, passed, since)
    fill_long(command, shown)
    tell(f"wrote {RESULTS_LONG}\n\n{shown}")


def _in_turn(system: System, count: int, rounds: int) -> list[Passed]:
    for bank in (KAFKA, HTTP):
        _pass(system, bank, WARM_UP)
    return [_pass(system, bank, count) for _ in range(rounds) for bank in (KAFKA, HTTP)]


def _pass(system: System, bank: Bank, count: int) -> Passed:
    """Publish instructions to a bank, and wait until all are settled."""
    events, before = instructions_to(bank, count), spans_now(system)
    goal = meters.settled(system, bank.partner) + count
    used, began = cpu_of(system), SystemClock().now()
    publish(system, events)
    wait_for(system, bank, goal)
    cpu_us = {name: (now - used[name]) / count * 1e6 for name, now in cpu_of(system).items()}
    outcome = outcome_of(system, before, count)
    seconds = (outcome.ended_at - began).total_seconds()
    found = Passed(bank, [str(one.uetr) for one in events], outcome, seconds, cpu_us)
    system.tell(f"{bank.transport}: {count:,} at {found.rate:,.0f}/s, {found.cost_us:,.0f} µs each")
    return found


def _require(system: System, passed: Sequence[Passed], since: datetime) -> None:
    """Raise BenchmarkError where an instruction was lost, doubled or left."""
    books = books_of(system)
    faults = [str(fault) for one in passed for fault in faults_of(one, books)]
    if left := outcomes.unfinished(system, "settlement"):
        faults.append(f"{left} instructions or more are unfinished; next: read settlement's log")
    faults += outcomes.violations(system, since, ("settlement",))
    if faults:
        raise BenchmarkError("not everything counts:\n  " + "\n  ".join(faults))


def results(passed: Sequence[Passed]) -> str:
    """Return the table of both transports, and whether the goal is reached."""
    by_kafka = [one for one in passed if one.bank is KAFKA]
    by_http = [one for one in passed if one.bank is HTTP]
    rate = median(one.rate for one in by_kafka)
    head = (
        "", "instructions/s", "least … greatest", "CPU µs each",
        "settlement", "bank", "Kafka", "PostgreSQL", "generator",
    )  # fmt: skip
    about = (
        f"{len(by_kafka[0].uetrs):,} instructions a round, {len(by_kafka)} in turn; medians."
        " Each was settled once and booked once at its bank; 0 left."
    )
    goal = f"Goal: at least {GOAL:,}/s over Kafka: {'yes' if rate >= GOAL else 'no'}."
    return f"{about}\n\n{table(head, [_row(by_kafka), _row(by_http)])}\n{goal}\n"


def _row(runs: Sequence[Passed]) -> Cells:
    bank, rates = runs[0].bank, [one.rate for one in runs]
    parts = ("settlement", bank.process, "kafka", "postgres", "generator")
    return (
        bank.transport,
        f"{median(rates):,.0f}",
        f"{min(rates):,.0f} … {max(rates):,.0f}",
        f"{median(one.cost_us for one in runs):,.0f}",
        *(f"{median(one.cpu_us[part] for one in runs):,.0f}" for part in parts),
    )
