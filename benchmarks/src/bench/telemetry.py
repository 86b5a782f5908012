"""The cost of telemetry: windows without, sampled and complete in turn, after a restart each."""

import os
import signal
from collections.abc import Mapping, Sequence
from dataclasses import replace
from statistics import median

from bench import report
from bench.customers import Customers
from bench.measuring import Measured
from bench.running import run_one
from bench.scenarios import closed
from bench.system import System, restart_with
from local_stack.telemetry.observation import NAMES, observe

MODES: Mapping[str, Mapping[str, str]] = {
    "off": {"OTLP_ENDPOINT": ""},
    "5 %": {"TRACE_SAMPLE": "0.05"},
    "100 %": {"TRACE_SAMPLE": "1"},
}
ROUNDS = 3
WINDOW = closed(64, warm_s=3.0, seconds=6.0)

Rounds = Mapping[str, Sequence[Measured]]
"""The windows of each mode, by round."""


def measure_telemetry(system: System, customers: Customers) -> Rounds:
    """Measure each mode once a round; every other round goes backwards, which saves restarts."""
    observe(system.stack, system.tell)
    found: dict[str, list[Measured]] = {mode: [] for mode in MODES}
    present = ""
    for number in range(ROUNDS):
        for mode in list(MODES)[:: -1 if number % 2 else 1]:
            if mode != present:
                _change(system, mode)
                present = mode
            scenario = replace(WINDOW, name=f"telemetry {mode} {number}".replace(" %", ""))
            found[mode].append(run_one(system, scenario, customers))
    return found


def _change(system: System, mode: str) -> None:
    """Restart the services for a mode; without telemetry its programs are stopped too."""
    restart_with(system, **MODES[mode])
    what = signal.SIGSTOP if mode == "off" else signal.SIGCONT
    for name in system.roots.keys() & set(NAMES):
        os.kill(system.roots[name], what)


def telemetry_table(found: Rounds) -> str:
    """Return rates with their ratio to `off` in the same round, and the CPU on both sides."""
    rows = []
    for mode, runs in found.items():
        ratios = sorted(run.rate / off.rate for run, off in zip(runs, found["off"], strict=True))
        rows.append(
            (
                mode,
                f"{median(run.rate for run in runs):,.0f}",
                f"{median(ratios):.2f} ({ratios[0]:.2f} … {ratios[-1]:.2f})",
                f"{median(run.answers['order'].p50 for run in runs):,.0f}",
                f"{median(run.answers['order'].p99 for run in runs):,.0f}",
                f"{median(report.cpu_us(run) for run in runs):,.0f}",
                f"{median(_cpu_of_programs(run) for run in runs):,.0f}",
            )
        )
    head = ("", "payments/s", "ratio", "p50 ms", "p99 ms", "CPU µs", "CPU µs of its programs")
    return report.table(head, rows)


def _cpu_of_programs(run: Measured) -> float:
    return sum(run.cpu_us.get(name, 0.0) for name in NAMES)
