"""`make bench-scale`: instances, partitions, three brokers, and one of them killed under load."""

import os
import signal
import threading
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace

from bench import documents, report
from bench.customers import Customers
from bench.errors import BenchmarkError
from bench.measuring import Measured, measure
from bench.results import SIZING
from bench.running import end_well, open_for_all, require, run_one, summary
from bench.scenarios import WARM_UP, closed, opened
from bench.system import System, Tell, infrastructure, start
from local_stack.inventory import Inventory, load_inventory
from local_stack.stack import program_name

PARTITIONS = (2, 4, 8)
INSTANCES = (1, 2, 4)
SCALED = tuple(
    one.name for one in load_inventory().core if "kafka" in one.needs and one.name != "ops"
)
BROKERS = 3
VICTIM = 1
RATE = 100
KILL_AFTER_S = 8.0
MOST_PAUSE_S = 10.0
"""The session of a killed broker lasts 4 s; then clients look for the new leaders."""
COMMAND = "make bench-scale"


def scale(offset: int, tell: Tell) -> None:
    """Measure each layout and three brokers, and write the table of docs/sizing.md."""
    found = [run for partitions in PARTITIONS for run in _of_partitions(offset, tell, partitions)]
    with _started(offset, tell, brokers=BROKERS) as system:
        start(system)
        customers = open_for_all(system)
        run_one(system, WARM_UP, customers)
        brokers = run_one(system, replace(closed(256), name="three brokers"), customers)
        killed = kill_a_broker(system, customers)
        ending = end_well(system)
    documents.fill(SIZING, COMMAND, _tables(found, brokers, killed))
    require([*found, brokers, killed], ending)
    _require_short(killed)


def brokers(offset: int, tell: Tell) -> None:
    """Kill one of three brokers while payments run. Raises BenchmarkError where one is lost."""
    with _started(offset, tell, brokers=BROKERS) as system:
        start(system)
        killed = kill_a_broker(system, open_for_all(system))
        ending = end_well(system)
    require([killed], ending, in_time=False)
    _require_short(killed)


def kill_a_broker(system: System, customers: Customers) -> Measured:
    """Pay at a constant rate and kill a broker, which is started again at once."""
    broker = system.stack.pid("kafka", VICTIM)
    # Its CPU ends with it and cannot be measured.
    del system.roots[program_name("kafka", VICTIM)]
    scenario = replace(opened(RATE), name="broker killed", warm_s=3.0, seconds=20.0)
    timer = threading.Timer(KILL_AFTER_S, os.kill, (broker, signal.SIGKILL))
    timer.start()
    found = measure(system, scenario, customers)
    timer.join()
    system.tell(f"{summary(found)}; longest pause {found.pause_s:.1f} s")
    system.note_processes()
    return found


def _require_short(killed: Measured) -> None:
    if killed.pause_s > MOST_PAUSE_S:
        raise BenchmarkError(
            f"payments paused for {killed.pause_s:.1f} s when a broker was killed, not for at most"
            f" {MOST_PAUSE_S:.0f} s; next: read the logs of gateway and confirm"
        )


def _of_partitions(offset: int, tell: Tell, partitions: int) -> list[Measured]:
    found = []
    with _started(offset, tell, partitions=partitions) as system:
        for instances in INSTANCES:
            if instances > partitions:
                continue
            start(system, dict.fromkeys(SCALED, instances))
            if instances == 1:
                customers = open_for_all(system)
                run_one(system, WARM_UP, customers)
            name = f"{partitions} partitions, {instances} of each"
            found.append(run_one(system, replace(closed(256), name=name), customers))
        require([], end_well(system))
    return found


def _started(
    offset: int, tell: Tell, *, partitions: int = 2, brokers: int = 1
) -> AbstractContextManager[System]:
    inventory = load_inventory()
    counts = {**inventory.topic_defaults["partitions"], "local": partitions}
    changed: Inventory = replace(
        inventory, topic_defaults={**inventory.topic_defaults, "partitions": counts}
    )
    return infrastructure(offset, tell, inventory=changed, brokers=brokers)


def _tables(found: Sequence[Measured], brokers: Measured, killed: Measured) -> str:
    names = sorted({name for run in found for name in _by_service(run)})
    cpu = [(name, *(f"{_by_service(run).get(name, 0):,.0f}" for run in found)) for name in names]
    return (
        f"256 in flight:\n\n{report.latency_table([*found, brokers])}"
        "\nCPU µs a payment, all instances of a service together:\n\n"
        + report.table(("", *(_short(run) for run in found)), cpu)
        + f"\nThree brokers, replication 3, `min.insync.replicas` 2, {RATE} payments/s offered, one"
        f" broker killed: no payment was lost, no response came for {killed.pause_s:.1f} s, p99"
        f" {killed.answers['order'].p99:,.0f} ms,"
        f" {killed.outcomes.get('ok', 0):,} of {sum(killed.outcomes.values()):,} requests got their"
        " result in time.\n"
    )


def _by_service(run: Measured) -> Mapping[str, float]:
    used: defaultdict[str, float] = defaultdict(float)
    for name, each_us in run.cpu_us.items():
        service, _, number = name.rpartition("-")
        used[service if number.isdigit() else name] += each_us
    return used


def _short(run: Measured) -> str:
    partitions, _, instances = run.scenario.name.partition(" partitions, ")
    return f"{partitions} x {instances.removesuffix(' of each')}"
