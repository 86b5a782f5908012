"""The output of `make bench`: RESULTS.md, its plots, and the figures in docs/sizing.md."""

from collections.abc import Sequence
from dataclasses import dataclass

from bench import plots, report
from bench.baseline import Baseline
from bench.gate import REST_WITHIN_S, Fault
from bench.measuring import Measured
from bench.plots import Axis, Line
from local_stack.layout import CHECKOUT

FOLDER = CHECKOUT / "benchmarks"
RESULTS = FOLDER / "RESULTS.md"
PLOT = FOLDER / "images" / "latency.svg"
SIZING = CHECKOUT / "docs" / "sizing.md"
MAX_REFUSED_SHARE = 0.05
"""Refusals for each payment."""
SIZED_FOR = (1_000, 10_000, 100_000)
BEGIN, END = "<!-- measured: make bench -->", "<!-- end of what is measured -->"

_DOCUMENT = """\
# Results of `make bench`

Production settings (`PROFILE=prod`: tokens checked, limits on, idempotent producers), all on one
machine, load generator and mocks included. One-time codes are fixed, so that the generator reads no
messages; the messages are sent. Latency counts from the planned time; requests refused with 503,
because too many wait, are failures without a latency. *Settled* is the time from the HOLD journal
to the SETTLE journal.

{about}
## Closed loop: requests in flight

{closed}
## Open loop: requests a second

{opened}
![Latency against load](images/latency.svg)

## With a code, and with repeats

A payment with a code takes two calls, at 200 payments a second. In the run with repeats every tenth
request repeats an earlier one; a repeat of a running request gets 409.

{flows}
## Telemetry, 64 in flight

Collector, Jaeger and Prometheus run on the same cores.

{telemetry}
{telemetry_cpu}
## CPU µs a payment, by process

{cpu}
## Records a batch

{batches}
## Bytes

{bytes}
## Memory

{memory}
## Baseline

The same records through Kafka and the same rows through PostgreSQL, prepared in advance.

{baseline}
## Gates

{gates}"""


@dataclass(frozen=True, slots=True)
class Ending:
    """The state of the messages and the result of the final check."""

    messages: dict[str, int]
    waiting: int
    """Unsent messages at the end of the load."""
    seconds: float
    """Seconds until they were sent."""
    checked: int
    faults: Sequence[Fault]


@dataclass(frozen=True, slots=True)
class Results:
    """The measurements of one `make bench`."""

    about: Sequence[tuple[str, str]]
    closed: Sequence[Measured]
    opened: Sequence[Measured]
    flows: Sequence[Measured]
    telemetry: Sequence[Measured]
    baseline: Baseline
    ending: Ending


def write(results: Results) -> None:
    """Write all files."""
    draw(results)
    RESULTS.write_text(document(results))
    fill_sizing(results)


def document(results: Results) -> str:
    """Return RESULTS.md."""
    loads = [*results.closed, *results.opened]
    return _DOCUMENT.format(
        about=report.table(("", ""), results.about),
        closed=report.latency_table(results.closed),
        opened=report.latency_table(results.opened),
        flows=report.latency_table(results.flows),
        telemetry=report.latency_table(results.telemetry),
        telemetry_cpu=report.cpu_table(results.telemetry),
        cpu=report.cpu_table(loads),
        batches=report.batch_table(loads),
        bytes=report.bytes_table(loads),
        memory=report.memory_table(results.flows[-1]),
        baseline=_baseline(results),
        gates=gates(results),
    )


def _baseline(results: Results) -> str:
    counting = _counting(results)
    if not counting:
        return "No run counts.\n"
    return report.baseline_table(results.baseline, _busiest(counting))


def _counting(results: Results) -> list[Measured]:
    return [run for run in (*results.closed, *results.opened) if not run.faults]


def _busiest(runs: Sequence[Measured]) -> Measured:
    """Return the run with the highest rate among those with few refusals, else of all.

    Above its capacity the gateway spends CPU on refusals, which is not a cost of a payment.
    """
    kind = [run for run in runs if run.outcomes.get("fail", 0) <= MAX_REFUSED_SHARE * run.payments]
    return max(kind or runs, key=lambda run: run.rate)


def gates(results: Results) -> str:
    """Return the results of the gates."""
    runs = [*results.closed, *results.opened, *results.flows, *results.telemetry]
    counting = sum(not run.faults for run in runs)
    rest_s = max(run.rest_s for run in runs)
    ending = results.ending
    faults = "".join(f"* **Does not count:** {fault.what}.\n" for fault in ending.faults)
    pace = ending.waiting / max(ending.seconds, 0.001)
    return (
        f"* {counting} of {len(runs)} runs count: each acknowledged payment is final and settled"
        f" once,\n  topics have the expected numbers of records, no lag after {REST_WITHIN_S:.0f} s"
        f" ({rest_s:.1f} s at most), ledger 0.\n"
        f"{faults}* `countersign check` has compared {ending.checked:,} payments.\n"
        f"* Messages: {ending.messages.get('DELIVERED', 0):,} delivered;"
        f" {ending.waiting:,} of them after the\n  end, at {pace:,.0f}/s.\n"
    )


def draw(results: Results) -> None:
    """Draw latency against load."""
    runs = [run for run in results.opened if not run.faults]
    lines = [
        Line(name, [(run.scenario.rate, getattr(run.answers["order"], field)) for run in runs])
        for name, field in (("p50", "p50"), ("p95", "p95"), ("p99", "p99"), ("p99.9", "p999"))
    ]
    settled = Line("settled p99", [(run.scenario.rate, run.settled.p99) for run in runs])
    axes = (Axis("payments a second, offered"), Axis("ms", logarithmic=True))
    plots.write_chart(PLOT, "Latency against load", axes, [*lines, settled])


def fill_sizing(results: Results) -> None:
    """Replace the measured part of docs/sizing.md."""
    runs = _counting(results)
    if not runs:
        return
    text = SIZING.read_text()
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    busiest = _busiest(runs)
    measured = (
        f"At {busiest.rate:,.0f}/s ({busiest.scenario.name}), and at other loads:\n\n"
        + report.cpu_table(runs)
        + "\n"
        + report.bytes_table(runs)
        + f"\nAs many cores as that is, by {busiest.scenario.name}:\n\n"
        + report.cores_table(busiest, SIZED_FOR)
    )
    SIZING.write_text(f"{before}{BEGIN}\n{measured}{END}{after}")
