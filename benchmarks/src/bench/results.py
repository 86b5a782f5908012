"""The output of `make bench`: RESULTS.md, its plots, and the figures in docs/sizing.md."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from bench import documents, machine, plots, report
from bench.baseline import Baseline
from bench.gate import REST_WITHIN_S, Ending
from bench.goals import goals_table
from bench.measuring import Measured
from bench.plots import Axis, Line
from bench.telemetry import Rounds, telemetry_table
from local_stack.layout import CHECKOUT

FOLDER = CHECKOUT / "benchmarks"
RESULTS = FOLDER / "RESULTS.md"
RESULTS_LONG = FOLDER / "RESULTS-LONG.md"
IMAGES = FOLDER / "images"
SIZING = CHECKOUT / "docs" / "sizing.md"
PERFORMANCE = CHECKOUT / "docs" / "performance.md"
COMMAND = "make bench"
KEPT, COMPLETE, SHARE = 0.95, 600, 0.25
"""Goals: rate kept at 5 % sampling; payments a second at 100 %; share of the baseline's rate."""
MAX_REFUSED_SHARE = 0.05
"""Refusals for each payment."""
SIZED_FOR, EXAMPLE = (1_000, 2_000, 10_000, 100_000), 2_000

_DOCUMENT = """\
# Results of `make bench`

{headline}

{goals}
![Response times against load](images/latency.svg)
![CPU of a payment by process](images/cpu.svg)

## Load

*closed n*: n requests in flight; *open n*: n requests a second. Latency counts from the planned
time; requests refused with 503, because too many wait, are failures without a latency. *Settled* is
the time from the confirmation to the settlement; *lag* the records that the services had not
consumed at the end of the load.

{loads}
## Telemetry, 64 in flight

Collector, Jaeger and Prometheus run on the same cores, and are stopped for *off*. Windows in turn;
median of the rounds, and the ratio to *off* in the same round (least … greatest).

{telemetry}
## With a code, and with repeats

A payment with a code takes two calls, at 200 payments a second. In the run with repeats every tenth
request repeats an earlier one; a repeat of a running request gets 409.

{flows}
## Partner banks on Kafka and over HTTP, 64 in flight

All payments go to the bank on Kafka, then all to the banks over HTTP; on the right CPU µs a payment
of settlement, the bank and Kafka. `make bench-banks` measures this hop alone (RESULTS-LONG.md).

{transports}
## Gates

{gates}
## Where it ran

Production settings (`PROFILE=prod`: tokens checked, limits on, idempotent producers), all on one
machine, load generator and mocks included. One-time codes are fixed, so that the generator reads no
messages; the messages are sent.

{about}
<details><summary>CPU by process, batches, bytes</summary>

{cpu}
Records a batch:

{batches}
{bytes}
</details>
"""


_PARTS: Mapping[str, Callable[[Measured], str]] = {
    "settlement": lambda run: _cpu(run, "settlement"),
    "bank": lambda run: _cpu(run, "south_bank", "partner_bank"),
    "Kafka": lambda run: _cpu(run, "kafka"),
}


def _cpu(run: Measured, *processes: str) -> str:
    return f"{sum(run.cpu_us.get(name, 0.0) for name in processes):,.0f}"


@dataclass(frozen=True, slots=True)
class Results:
    """The measurements of one `make bench`."""

    about: Sequence[tuple[str, str]]
    closed: Sequence[Measured]
    opened: Sequence[Measured]
    flows: Sequence[Measured]
    transports: Sequence[Measured]
    """Payments to a bank on Kafka, and to banks over HTTP."""
    telemetry: Rounds
    baseline: Baseline
    ending: Ending

    @property
    def runs(self) -> Sequence[Measured]:
        """Return all runs."""
        rounds = [run for runs in self.telemetry.values() for run in runs]
        return [*self.closed, *self.opened, *self.flows, *self.transports, *rounds]


def write(results: Results) -> None:
    """Write all files."""
    draw(results)
    RESULTS.write_text(document(results))
    documents.fill(PERFORMANCE, COMMAND, f"{headline(results)}\n\n{goals(results)}")
    fill_sizing(results)


def fill_long(command: str, measured: str) -> None:
    """Replace a command's part of RESULTS-LONG.md, with the machine on which it ran."""
    about = "; ".join(f"{name} {value}" for name, value in machine.description())
    documents.fill(RESULTS_LONG, command, f"{about}.\n\n{measured}")


def document(results: Results) -> str:
    """Return RESULTS.md: one page, the most important figure first."""
    loads = [*results.closed, *results.opened]
    return _DOCUMENT.format(
        headline=headline(results),
        goals=goals(results),
        loads=report.latency_table(loads),
        flows=report.latency_table(results.flows),
        transports=report.latency_table(results.transports, _PARTS),
        telemetry=telemetry_table(results.telemetry),
        gates=gates(results),
        about=report.table(("", ""), results.about),
        cpu=report.cpu_table(loads),
        batches=report.batch_table(loads),
        bytes=report.bytes_table(loads),
    )


def headline(results: Results) -> str:
    """Return the figures that matter most in a sentence."""
    if not _counting(results):
        return "**No run counts.**"
    busiest = _busiest(_counting(results))
    alone = results.closed[0].answers["order"]
    return (
        f"**{busiest.rate:,.0f} payments a second** ({busiest.scenario.name}), each screened,"
        f" scored, posted, settled and audited, for {report.cpu_us(busiest):,.0f} µs of CPU. One"
        f" payment alone takes {alone.p50:,.1f} ms (p50), {alone.p99:,.1f} ms (p99)."
    )


def goals(results: Results) -> str:
    """Return the table of goals."""
    off, part, full = results.telemetry.values()
    kept = median(one.rate / none.rate for one, none in zip(part, off, strict=True))
    complete = median(run.rate for run in full)
    share = max(run.rate for run in results.closed) / results.baseline.rate
    rows = [
        ("telemetry at 5 %: at least 95 % of the rate", f"{kept:.0%}", _yes(kept >= KEPT)),
        ("telemetry at 100 %: at least 600/s", f"{complete:,.0f} /s", _yes(complete >= COMPLETE)),
        (
            "share of the baseline's rate: at least 25 %",
            f"{share:.0%} of {results.baseline.rate:,.0f} /s",
            _yes(share >= SHARE),
        ),
    ]
    return goals_table([*results.closed, *results.opened, *results.flows], rows)


def _yes(reached: bool) -> str:  # noqa: FBT001 - a pure translation
    return "yes" if reached else "no"


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
    runs = results.runs
    counting = sum(not run.faults for run in runs)
    rest_s = max(run.rest_s for run in runs)
    ending = results.ending
    faults = "".join(f"* **Does not count:** {fault.what}.\n" for fault in ending.faults)
    pace = ending.waiting / max(ending.seconds, 0.001)
    return (
        f"* {counting} of {len(runs)} runs count: each acknowledged payment is final and settled"
        f" once,\n  no lag after {REST_WITHIN_S:.0f} s ({rest_s:.1f} s at most), ledger 0.\n"
        f"{faults}* `countersign check` has compared {ending.checked:,} payments.\n"
        f"* Messages: {ending.messages.get('delivered', 0):,} delivered;"
        f" {ending.waiting:,} of them after the\n  end, at {pace:,.0f}/s.\n"
    )


def draw(results: Results) -> None:
    """Draw response times against load, and the CPU of the busiest run."""
    runs = [run for run in results.opened if not run.faults]
    lines = [
        Line(name, [(run.scenario.rate, getattr(run.answers["order"], field)) for run in runs])
        for name, field in (("p50", "p50"), ("p95", "p95"), ("p99", "p99"), ("p99.9", "p999"))
    ]
    settled = Line("settled p99", [(run.scenario.rate, run.settled.p99) for run in runs])
    axes = (Axis("payments a second, offered"), Axis("ms", logarithmic=True))
    plots.write_chart(
        IMAGES / "latency.svg", "Response times against load", axes, [*lines, settled]
    )
    if counting := _counting(results):
        busiest = _busiest(counting)
        title = f"CPU of a payment by process, µs, at {busiest.rate:,.0f}/s"
        plots.write_bars(IMAGES / "cpu.svg", f"{title} ({busiest.scenario.name})", busiest.cpu_us)


def fill_sizing(results: Results) -> None:
    """Replace the measured part of docs/sizing.md."""
    runs = _counting(results)
    if not runs:
        return
    busiest = _busiest(runs)
    measured = (
        f"At {busiest.rate:,.0f}/s ({busiest.scenario.name}), and at other loads:\n\n"
        + report.cpu_table(runs)
        + "\n"
        + report.bytes_table(runs)
        + f"\nAs many cores as that is, by {busiest.scenario.name}:\n\n"
        + report.cores_table(busiest, SIZED_FOR, EXAMPLE)
    )
    documents.fill(SIZING, COMMAND, measured)
