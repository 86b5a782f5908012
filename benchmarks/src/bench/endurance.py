"""Long measurements: table size, soak, backlogs and instances."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import uvloop

from bench import ledger_snapshot, meters, plots, report
from bench.errors import BenchmarkError
from bench.growth import grow
from bench.measuring import Measured, drive
from bench.partitions import repartition
from bench.plots import Axis, Line
from bench.results import FOLDER
from bench.running import end_well, open_for_all, require, run_one
from bench.scenarios import closed, opened
from bench.system import System, Tell, infrastructure, start, started
from local_stack.waiting import elapsed_since, now_s, wait_until

SIZES = (1_000, 10_000, 100_000, 1_000_000)
SIZE_RATE = 100
SOAK_MINUTES = 15
SOAK_RATE = 150
WARM_MINUTES = 3
MOST_GROWTH = 1.1
"""Maximum growth of memory after the warm-up, and of CPU with the table."""
BACKLOG_RECORDS = 100_000
CAUGHT_UP_WITHIN_S = 600
LAYOUTS = ((1, 1), (2, 1), (2, 2), (4, 1), (4, 2), (4, 4), (6, 1), (6, 4))
"""Partitions, and instances of confirm."""
RESULTS = FOLDER / "RESULTS-LONG.md"


@dataclass(frozen=True, slots=True)
class CaughtUp:
    """The rate of a consumer that works off a backlog."""

    service: str
    records: int
    seconds: float
    live_rate: float
    """Records a second for it at the highest rate of payments."""

    @property
    def ratio(self) -> float:
        return self.records / self.seconds / self.live_rate


@dataclass(slots=True)
class Found:
    """The measurements of this run."""

    sizes: dict[int, Measured] = field(default_factory=dict)
    """By payments in the tables."""
    instances: dict[tuple[int, int], Measured] = field(default_factory=dict)
    """By partitions and instances."""
    caught_up: list[CaughtUp] = field(default_factory=list)
    soak: list[Measured] = field(default_factory=list)


def long(offset: int, tell: Tell) -> None:
    """Measure all of it, and write down each part as it comes."""
    found = Found(instances=of_instances(offset, tell))
    write(found)
    with started(offset, tell) as system:
        found.caught_up = of_backlogs(system, BACKLOG_RECORDS)
        require([], end_well(system))
    write(found)
    with started(offset, tell) as system:
        found.soak = of_time(system, SOAK_MINUTES)
        ending = end_well(system)
    write(found)
    with started(offset, tell) as system:
        found.sizes = of_size(system, SIZES)
    write(found)
    tell(f"wrote {RESULTS}")
    require([*found.sizes.values(), *found.instances.values(), *found.soak], ending)
    _require_pace(found)


def of_size(system: System, sizes: tuple[int, ...]) -> dict[int, Measured]:
    """Measure at a growing number of payments in the tables."""
    customers = open_for_all(system)
    template = replace(closed(16), name="history", seconds=3.0)
    run_one(system, template, customers)
    found = {}
    for size in sizes:
        grown = grow(system, template.run, size)
        scenario = replace(opened(SIZE_RATE), name=f"table {size}", seconds=20.0)
        found[grown] = run_one(system, scenario, customers)
    return found


def of_instances(offset: int, tell: Tell) -> dict[tuple[int, int], Measured]:
    """Measure confirm in several layouts, each on a new system."""
    found = {}
    for partitions, instances in LAYOUTS:
        with infrastructure(offset, tell) as system:
            repartition(system, "confirm", partitions)
            start(system, {"confirm": instances})
            customers = open_for_all(system)
            scenario = replace(closed(256), name=f"partitions {partitions} x {instances}")
            found[partitions, instances] = run_one(system, scenario, customers)
    return found


def of_backlogs(system: System, records: int) -> list[CaughtUp]:
    """Stop audit and settlement, build up a backlog for audit, start them one by one."""
    customers = open_for_all(system)
    away = ("audit", "settlement")
    for service in away:
        system.stack.stop_process(service)
    system.note_processes()
    rates: list[float] = []
    while (behind := meters.lag(system, away))["audit"] < records:
        system.tell(f"backlog: {behind}")
        slice_ = replace(closed(256), name=f"backlog {len(rates)}", warm_s=0.0)
        driven = uvloop.run(drive(system, slice_, customers))
        customers.pass_on(len(driven.log))
        rates.append(driven.completed / slice_.seconds)
    made = sum(rates) * closed(256).seconds
    found = [_catch_up(system, service, behind, (max(rates), made)) for service in away]
    wait_until(
        lambda: not ledger_snapshot.unfinished(system),
        seconds=CAUGHT_UP_WITHIN_S,
        otherwise="payments are unfinished after the backlog: read settlement's log",
    )
    return found


def _catch_up(
    system: System, service: str, behind: dict[str, int], live: tuple[float, float]
) -> CaughtUp:
    rate, made = live
    start_s = now_s()
    system.stack.start_process(service)
    wait_until(
        lambda: not meters.lag(system, [service])[service],
        seconds=CAUGHT_UP_WITHIN_S,
        otherwise=f"{service} has not processed its backlog: read its log",
        pause_s=0.2,
    )
    found = CaughtUp(
        service, behind[service], elapsed_since(start_s), rate * behind[service] / made
    )
    system.tell(f"{service}: {found.records} records in {found.seconds:.1f} s, {found.ratio:.1f} x")
    return found


def of_time(system: System, minutes: int) -> list[Measured]:
    """Load the system for some minutes, and measure each minute."""
    customers = open_for_all(system)
    scenario = replace(opened(SOAK_RATE), warm_s=0.0, seconds=60.0)
    return [
        run_one(system, replace(scenario, name=f"minute {minute}", seed=minute), customers)
        for minute in range(1, minutes + 1)
    ]


def _require_pace(found: Found) -> None:
    """Raise BenchmarkError if CPU or memory grows, or a backlog is processed too slowly."""
    slow = [
        f"{one.service} catches up at {one.ratio:.1f} x" for one in found.caught_up if one.ratio < 2
    ]
    cpu = [report.cpu_us(run) for run in found.sizes.values()]
    if cpu[-1] > cpu[0] * MOST_GROWTH:
        slow.append(f"CPU a payment grows with the table from {cpu[0]:.0f} to {cpu[-1]:.0f} µs")
    held = [report.services_bytes(run) for run in found.soak[WARM_MINUTES:]]
    if held[-1] > held[0] * MOST_GROWTH:
        slow.append(f"memory grows from {held[0]:,} to {held[-1]:,} bytes")
    if slow:
        raise BenchmarkError("; ".join(slow) + f"; next: compare with the tables in {RESULTS.name}")


def write(found: Found) -> None:
    """Write RESULTS-LONG.md and its plots."""
    draw(found)
    caught_up = [
        (c.service, c.records, f"{c.seconds:.1f}", f"{c.ratio:.1f}") for c in found.caught_up
    ]
    memory = [(run.scenario.name, report.services_bytes(run) // 2**20) for run in found.soak]
    RESULTS.write_text(
        _DOCUMENT.format(
            sizes=report.latency_table(list(found.sizes.values())),
            instances=report.latency_table(list(found.instances.values())),
            caught_up=report.table(("", "records", "seconds", "times the live rate"), caught_up),
            soak=report.latency_table(found.soak),
            memory=report.table(("", "services, MiB"), memory),
        )
    )


_DOCUMENT = """\
# Results of `make bench-long`

## Payments in the tables

100 payments a second, open loop; the history is copies of real payments with other ids.

{sizes}
![Latency and CPU against payments in the tables](images/table-size.svg)

## Partitions and instances of confirm

256 in flight. "partitions 4 x 2" is two instances on four partitions. All processes share two
cores, so a second instance adds no processor: the curve shows its cost.

{instances}
![Payments a second by partitions and instances](images/instances.svg)

## Catching up

{caught_up}
## Soak

150 payments a second, minute by minute.

{soak}
{memory}
![Memory over time](images/memory.svg)
"""


def draw(found: Found) -> None:
    """Draw the curves."""
    folder = FOLDER / "images"
    shown: tuple[tuple[str, Callable[[Measured], float]], ...] = (
        ("p50 ms", lambda run: run.answers["order"].p50),
        ("p99 ms", lambda run: run.answers["order"].p99),
        ("CPU, µs / 100", lambda run: report.cpu_us(run) / 100),
    )
    plots.write_chart(
        folder / "table-size.svg",
        "Latency and CPU against payments in the tables",
        (Axis("payments in the tables", logarithmic=True), Axis("")),
        [
            Line(name, [(size, read(run)) for size, run in found.sizes.items()])
            for name, read in shown
        ],
    )
    counts = sorted({count for _, count in found.instances})
    plots.write_chart(
        folder / "instances.svg",
        "Payments a second by partitions and instances of confirm",
        (Axis("partitions"), Axis("payments/s")),
        [
            Line(
                f"{count} x",
                [(p, run.rate) for (p, i), run in found.instances.items() if i == count],
            )
            for count in counts
        ],
    )
    plots.write_chart(
        folder / "memory.svg",
        "Memory of the services over time",
        (Axis("minutes"), Axis("MiB")),
        [
            Line(
                "services",
                [(m, report.services_bytes(r) / 2**20) for m, r in enumerate(found.soak, 1)],
            )
        ],
    )
