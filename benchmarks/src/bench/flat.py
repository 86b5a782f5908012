"""`make bench-flat`: whether latency and CPU depend on the number of payments in the tables."""

from collections.abc import Mapping
from dataclasses import replace

from bench import plots, report
from bench.errors import BenchmarkError
from bench.growth import History
from bench.measuring import Measured
from bench.plots import Axis, Line
from bench.results import IMAGES, fill_long
from bench.running import open_for_all, require, run_one
from bench.scenarios import WARM_UP, opened
from bench.settings import number_of
from bench.system import System, Tell, infrastructure, start

SIZES = (1_000, 10_000, 100_000, 1_000_000)
RATE = 100
MOST_GROWTH = 1.1
"""From the least to the greatest size."""
COMMAND = "make bench-flat"
IMAGE = "table-size.svg"


def flat(offset: int, tell: Tell) -> None:
    """Measure at each size up to MOST payments. Raises BenchmarkError where the cost grows."""
    most = number_of("MOST", SIZES[-1], SIZES[-1])
    sizes = [size for size in SIZES if size <= most]
    # A check of the whole after five minutes would be in the window of the last size.
    with infrastructure(offset, tell, CHECK_EVERY_S="86400") as system:
        start(system)
        found = _of_sizes(system, sizes)
    _write(found)
    require(found.values(), None)
    _require_flat(found)


def _of_sizes(system: System, sizes: list[int]) -> dict[int, Measured]:
    customers = open_for_all(system)
    run = run_one(system, WARM_UP, customers)
    history = History(system, run.payment_ids)
    found = {}
    for size in sizes:
        history.grow(size)
        scenario = replace(opened(RATE), name=f"table {size}", seconds=15.0)
        found[size] = run_one(system, scenario, customers)
    return found


def _write(found: Mapping[int, Measured]) -> None:
    plots.write_chart(
        IMAGES / IMAGE,
        "Latency and CPU against payments in the tables",
        (Axis("payments in the tables", logarithmic=True), Axis("ms", logarithmic=True)),
        [
            Line("p50", [(size, run.answers["order"].p50) for size, run in found.items()]),
            Line("p99", [(size, run.answers["order"].p99) for size, run in found.items()]),
            Line("CPU, ms", [(size, report.cpu_us(run) / 1000) for size, run in found.items()]),
        ],
    )
    shown = f"\n![Latency and CPU against payments in the tables](images/{IMAGE})\n"
    fill_long(COMMAND, report.latency_table(list(found.values())) + shown)


def _require_flat(found: Mapping[int, Measured]) -> None:
    first, *_, last = (report.cpu_us(run) for run in found.values())
    if last > first * MOST_GROWTH:
        raise BenchmarkError(
            f"CPU a payment grows with the tables from {first:.0f} to {last:.0f} µs; next: compare"
            " the plans of the hot statements at both sizes"
        )
