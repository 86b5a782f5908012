"""`make bench-soak`: memory and CPU of the services over MINUTES of constant load."""

from collections.abc import Sequence
from dataclasses import replace

from bench import plots, report
from bench.errors import BenchmarkError
from bench.measuring import Measured
from bench.plots import Axis, Line
from bench.results import IMAGES, fill_long
from bench.running import end_well, open_for_all, require, run_one
from bench.scenarios import opened
from bench.settings import number_of
from bench.system import Tell, started

RATE = 150
WARM_MINUTES = 3
MOST_GROWTH = 1.1
"""From the end of the warm-up."""
COMMAND = "make bench-soak"
IMAGE = "soak.svg"


def soak(offset: int, tell: Tell) -> None:
    """Measure each minute. Raises BenchmarkError where memory grows."""
    minutes = number_of("MINUTES", 15, 24 * 60)
    scenario = replace(opened(RATE), warm_s=0.0, seconds=60.0)
    with started(offset, tell) as system:
        customers = open_for_all(system)
        found = [
            run_one(system, replace(scenario, name=f"minute {one}", seed=one), customers)
            for one in range(1, minutes + 1)
        ]
        ending = end_well(system)
    _write(found)
    require(found, ending)
    _require_flat(found)


def _write(found: Sequence[Measured]) -> None:
    memory = [report.services_bytes(run) / report.MIB for run in found]
    plots.write_chart(
        IMAGES / IMAGE,
        "The services over time",
        (Axis("minutes"), Axis("")),
        [
            Line("memory, MiB", list(enumerate(memory, 1))),
            Line("CPU, µs / 10", [(n, report.cpu_us(run) / 10) for n, run in enumerate(found, 1)]),
        ],
    )
    columns = {"services, MiB": lambda run: f"{report.services_bytes(run) / report.MIB:,.0f}"}
    shown = f"\n![Memory and CPU over time](images/{IMAGE})\n"
    fill_long(COMMAND, report.latency_table(found, columns) + shown)


def _require_flat(found: Sequence[Measured]) -> None:
    held = [report.services_bytes(run) for run in found[WARM_MINUTES:]]
    if held and held[-1] > held[0] * MOST_GROWTH:
        grown = f"from {held[0] / report.MIB:,.0f} to {held[-1] / report.MIB:,.0f} MiB"
        raise BenchmarkError(f"memory grows {grown}; next: see which process, by `make status`")
