"""Results as Markdown tables."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from math import ceil

from bench.measuring import GENERATOR, Measured
from bench.operations import Latencies
from bench.system import MOCKS
from local_stack.telemetry.observation import NAMES as TELEMETRY_PROCESSES

INFRASTRUCTURE_NAMES = ("kafka", "postgres", "redis")
EXCLUDED = (GENERATOR, "notification", "twilio", "sendgrid", *TELEMETRY_PROCESSES)
"""Excluded from the CPU of a payment: the load, and processes that may lag."""
BUSY = 0.6
"""Planned utilisation of a core, with reserves for bursts and a failed machine."""
MIB = 2**20

Cells = Sequence[object]


def table(head: Cells, rows: Iterable[Cells]) -> str:
    """Return a Markdown table with text in the first column and figures in the others."""
    lines = [_line(head), "|---|" + "---:|" * (len(head) - 1)]
    return "\n".join([*lines, *(_line(row) for row in rows)]) + "\n"


def _line(cells: Cells) -> str:
    return "| " + " | ".join(str(cell) for cell in cells) + " |"


def latency_table(
    runs: Sequence[Measured], further: Mapping[str, Callable[[Measured], str]] | None = None
) -> str:
    """Return rate and latency of each run, and further columns of the caller.

    A run that does not count shows its fault.
    """
    head = (
        "", "payments/s", "p50 ms", "p95 ms", "p99 ms", "p99.9 ms",
        "settled p50 ms", "p95", "p99", "p99.9", "CPU µs", "lag", "ok / fail / unknown",
    )  # fmt: skip
    columns = further or {}
    rows = [row for run in runs for row in _latency_rows(run, columns.values())]
    return table((*head, *columns), rows)


def _latency_rows(run: Measured, further: Iterable[Callable[[Measured], str]]) -> Iterable[Cells]:
    if run.faults:
        yield (run.scenario.name, f"does not count: {run.faults[0].what}", *[""] * 11)
        return
    for step, found in sorted(run.answers.items(), reverse=True):
        name = run.scenario.name if len(run.answers) == 1 else f"{run.scenario.name}, {step}"
        yield (
            name, f"{run.rate:,.0f}", *_percentiles(found), *_percentiles(run.settled),
            f"{cpu_us(run):,.0f}", f"{run.lag:,}", _outcomes(run), *(read(run) for read in further),
        )  # fmt: skip


def _percentiles(found: Latencies) -> list[str]:
    return [f"{value:,.1f}" for value in (found.p50, found.p95, found.p99, found.p999)]


def _outcomes(run: Measured) -> str:
    return " / ".join(str(run.outcomes.get(name, 0)) for name in ("ok", "fail", "unknown"))


def cpu_us(run: Measured) -> float:
    """Return the CPU of a payment without generator, notification and telemetry."""
    return sum(used for name, used in run.cpu_us.items() if name not in EXCLUDED)


def cpu_table(runs: Sequence[Measured]) -> str:
    """Return CPU µs a payment by process, largest first."""
    last = runs[-1].cpu_us
    names = sorted(
        {name for run in runs for name in run.cpu_us}, key=lambda name: -last.get(name, 0)
    )
    rows: list[Cells] = [
        (name, *(f"{run.cpu_us.get(name, 0):,.0f}" for run in runs)) for name in names
    ]
    rows.append(
        ("**all without generator, notification**", *(f"**{cpu_us(r):,.0f}**" for r in runs))
    )
    return table(("", *(run.scenario.name for run in runs)), rows)


def cores_table(run: Measured, rates: Sequence[int], example: int) -> str:
    """Return cores by process at each rate, at the planned utilisation, and example instances."""
    used = sorted(run.cpu_us.items(), key=lambda item: -item[1])
    rows: list[Cells] = [
        (
            name,
            *(f"{_cores(each_us, rate):,.1f}" for rate in rates),
            "" if name in INFRASTRUCTURE_NAMES else ceil(_cores(each_us, example)) + 1,
        )
        for name, each_us in used
        if name not in {GENERATOR, *MOCKS}
    ]
    head = ("cores, 60 % busy", *(f"{rate:,}/s" for rate in rates), f"instances, {example:,}/s")
    return table(head, rows)


def _cores(each_us: float, rate: int) -> float:
    return rate * each_us / 1e6 / BUSY


def batch_table(runs: Sequence[Measured]) -> str:
    """Return records a batch by consumer and topic."""
    keys = sorted(
        {key for run in runs for key, (batches, _) in run.counts.batches.items() if batches}
    )
    rows = [(f"{key[0]} ← {key[1]}", *(_batch(run, key) for run in runs)) for key in keys]
    return table(("", *(run.scenario.name for run in runs)), rows)


def _batch(run: Measured, key: tuple[str, str]) -> str:
    batches, records = run.counts.batches.get(key, (0, 0))
    return f"{records / batches:.1f}" if batches else ""


def bytes_table(runs: Sequence[Measured]) -> str:
    """Return bytes a payment in topics and in the write-ahead log."""
    lines: Sequence[tuple[str, Callable[[Measured], int]]] = (
        ("records on all topics", lambda run: sum(run.counts.records.values())),
        ("bytes on the broker's disk, zstd", lambda run: run.counts.topic_bytes),
        ("bytes of WAL", lambda run: run.counts.wal_bytes),
    )
    rows = [(name, *(_each(run, read) for run in runs)) for name, read in lines]
    return table(("a payment", *(run.scenario.name for run in runs)), rows)


def _each(run: Measured, read: Callable[[Measured], int]) -> str:
    return f"{read(run) / max(1, run.payments):,.1f}"


def services_bytes(run: Measured) -> int:
    """Return the memory of all services, without mocks and infrastructure."""
    apart = {*MOCKS, *INFRASTRUCTURE_NAMES, *TELEMETRY_PROCESSES}
    return sum(held for name, held in run.memory.items() if name not in apart)
