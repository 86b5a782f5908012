"""The goals of docs/performance.md, compared with the runs of one `make bench`."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from bench import report
from bench.measuring import Measured


@dataclass(frozen=True, slots=True)
class Goal:
    """A goal: its text, the run that it is about, the measured value, and the limit."""

    text: str
    run: str
    value: Callable[[Measured], float]
    limit: float
    unit: str
    least: bool = False
    """Whether the limit is the least value; else it is the greatest."""

    def row(self, runs: Mapping[str, Measured]) -> Sequence[str]:
        """Return goal, measured value and whether it is reached."""
        run = runs.get(self.run)
        if run is None or run.faults:
            return self.text, "no run counts", "no"
        value = self.value(run)
        reached = value >= self.limit if self.least else value <= self.limit
        return self.text, f"{value:,.4g} {self.unit}", "yes" if reached else "no"


def _order(figure: str, step: str = "order") -> Callable[[Measured], float]:
    return lambda run: float(getattr(run.answers[step], figure))


GOALS = (
    Goal("sustained: at least 1,500/s", "closed 256", lambda run: run.rate, 1500, "/s", least=True),
    Goal("CPU of a payment: at most 1,300 µs", "closed 256", report.cpu_us, 1300, "µs"),
    Goal("one in flight, p50: at most 15 ms", "closed 1", _order("p50"), 15, "ms"),
    Goal("one in flight, p99: at most 40 ms", "closed 1", _order("p99"), 40, "ms"),
    Goal("500/s offered, p99: at most 150 ms", "open 500", _order("p99"), 150, "ms"),
    Goal("code at 200/s, first call, p99: at most 200 ms", "code 200", _order("p99"), 200, "ms"),
    Goal("code at 200/s, second call, p99: at most 200 ms", "code 200", _order("p99", "code"),
         200, "ms"),
    Goal("confirmed to settled, p99: at most 2 s", "closed 256", lambda run: run.settled.p99, 2000,
         "ms"),
    Goal("gateway: at most 400 µs a request", "closed 256", lambda run: run.cpu_us["gateway"], 400,
         "µs"),
    Goal("memory of all services: at most 1 GiB", "repeats 500",
         lambda run: report.services_bytes(run) / report.MIB, 1024, "MiB"),
)  # fmt: skip


def goals_table(runs: Sequence[Measured], further: Sequence[Sequence[str]]) -> str:
    """Return each goal with its measured value; `further` are rows of other measurements."""
    by_name = {run.scenario.name: run for run in runs}
    rows = [*(goal.row(by_name) for goal in GOALS), *further]
    return report.table(("goal", "measured", "reached"), rows)
