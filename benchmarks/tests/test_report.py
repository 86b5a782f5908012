"""Tables, plots and CPU show the measured values."""

import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import pytest

from bench import plots, processes, report, results
from bench.baseline import Baseline
from bench.errors import BenchmarkError
from bench.gate import Fault
from bench.measuring import Measured
from bench.meters import Counts
from bench.operations import Latencies
from bench.plots import Axis, Line
from bench.results import BEGIN, END, Ending, Results
from bench.running import require
from bench.scenarios import closed, opened

NO_COUNTS = Counts({}, 0, 0, {})


def measured(rate: float = 500.0, **changed: object) -> Measured:
    found = Measured(
        scenario=opened(500),
        rate=rate,
        answers={"order": Latencies(10, 1.0, 2.0, 3.0, 4.0)},
        settled=Latencies(10, 5.0, 6.0, 7.0, 8.0),
        outcomes={"ok": 10},
        statuses={200: 10},
        cpu_us={"gateway": 400.0, "postgres": 200.0, "generator": 90.0, "notification": 70.0},
        rest_s=0.5,
        payments=10,
        counts=Counts({"t": 80}, 20_000, 90_000, {("confirm", "t"): (4, 10)}),
        memory={"gateway": 2**20 * 100, "kafka": 2**30, "ofac": 2**20, "audit": 2**20 * 50},
    )
    return replace(found, **changed)  # type: ignore[arg-type]


def test_a_run_shows_its_percentiles_and_its_cost():
    shown = report.latency_table([measured()])
    assert "| open 500 | 500 | 1.0 | 2.0 | 3.0 | 4.0 | 5.0 | 6.0 | 7.0 | 8.0 | 600 |" in shown


def test_a_run_that_does_not_count_shows_no_figures():
    shown = report.latency_table([measured(faults=[Fault("2 payments lost", "look")])])
    assert "does not count: 2 payments lost" in shown
    assert "500 |" not in shown.splitlines()[-1].removeprefix("| open 500 |")


def test_cost_and_memory_are_without_mocks_and_infrastructure():
    assert report.cpu_us(measured()) == 600
    assert report.services_bytes(measured()) == 150 * 2**20
    assert "confirm ← t | 2.5 |" in report.batch_table([measured()])
    assert "| bytes of WAL | 9,000.0 |" in report.bytes_table([measured()])
    assert "| ratio | 0.25 |" in report.baseline_table(Baseline(8000, 4.0), measured())
    assert "| gateway | 0.7 | 6.7 |" in report.cores_table(measured(), (1_000, 10_000))


def test_counts_are_differences():
    before = Counts({"t": 5}, 100, 1000, {("confirm", "t"): (1, 5)})
    after = Counts({"t": 9, "u": 1}, 150, 1300, {("confirm", "t"): (3, 9), ("risk", "u"): (1, 1)})
    assert after.since(before) == Counts(
        {"t": 4, "u": 1}, 50, 300, {("confirm", "t"): (2, 4), ("risk", "u"): (1, 1)}
    )


@pytest.mark.parametrize("logarithmic", [False, True])
def test_a_chart_has_every_point_within_its_frame(tmp_path: Path, logarithmic: bool):
    points = [(100.0, 3.0), (2000.0, 4321.0)]
    axes = (Axis("offered"), Axis("ms", logarithmic=logarithmic))
    plots.write_chart(tmp_path / "c.svg", "A & B", axes, [Line("p<99", points), Line("none", [])])
    drawn = ET.parse(tmp_path / "c.svg").getroot()  # noqa: S314 - we wrote it
    circles = [one.attrib for one in drawn.iter() if one.tag.endswith("circle")]
    assert len(circles) == len(points)
    assert all(70 <= float(c["cx"]) <= 590 and 46 <= float(c["cy"]) <= 344 for c in circles)
    texts = [one.text for one in drawn.iter() if one.tag.endswith("text")]
    assert "A & B" in texts
    assert "p<99" in texts


def test_results_are_written_and_fill_the_sizing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    for name in ("RESULTS", "PLOT", "SIZING"):
        monkeypatch.setattr(results, name, tmp_path / name)
    (tmp_path / "SIZING").write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    runs = [measured(scenario=closed(64))]
    found = Results([("machine", "m")], runs, [measured()], runs, runs, Baseline(100, 0.1),
                    Ending({"DELIVERED": 10}, 5, 1.0, 40, [Fault("a loss", "look")]))  # fmt: skip
    results.write(found)
    written = (tmp_path / "RESULTS").read_text()
    assert "4 of 4 runs count" in written
    assert "* **Does not count:** a loss." in written
    assert "| ratio | 0.50 |" in written
    sizing = (tmp_path / "SIZING").read_text()
    assert sizing.startswith("before\n")
    assert sizing.endswith("after\n")
    assert "old" not in sizing
    assert (tmp_path / "PLOT").exists()


def test_the_documents_have_the_marks():
    sizing = results.SIZING.read_text()
    assert sizing.count(BEGIN) == sizing.count(END) == 1
    assert re.search(f"{BEGIN}.*{END}", sizing, re.DOTALL)


def test_cpu_counts_running_and_ended_children():
    spin = "sum(range(30_000_000))"
    script = (
        "import subprocess, sys\n"
        f"subprocess.run([sys.executable, '-c', '{spin}'])\n"
        "print('done', flush=True)\n"
        "sys.stdin.read()"
    )
    command = [sys.executable, "-c", script]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == b"done\n"
        used = processes.cpu_s({"ended": parent.pid, "running": os.getpid()})
        held = processes.resident_bytes({"parent": parent.pid})
        parent.communicate()
    assert used["ended"] > 0.2
    assert used["running"] > used["ended"]
    assert held["parent"] > 2**20


def test_an_ended_process_is_an_error():
    ended = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"],
                           stdout=subprocess.PIPE, check=True)  # fmt: skip
    with pytest.raises(BenchmarkError, match="audit has ended"):
        processes.cpu_s({"audit": int(ended.stdout)})


@pytest.mark.parametrize(
    ("fault", "fails_bench", "fails_smoke"),
    [
        pytest.param(Fault("lost", "look"), True, True, id="a loss fails both"),
        pytest.param(Fault("late", "wait", is_slowness=True), True, False, id="smoke has no clock"),
    ],
)
def test_a_slow_run_fails_bench_and_a_wrong_run_fails_both(
    fault: Fault, fails_bench: bool, fails_smoke: bool
):
    ending = Ending({}, 0, 0.0, 0, [])
    for in_time, fails in ((True, fails_bench), (False, fails_smoke)):
        expected = pytest.raises(BenchmarkError, match=fault.what) if fails else nullcontext()
        with expected:
            require([measured(faults=[fault])], ending, in_time=in_time)
    with pytest.raises(BenchmarkError, match="the end: lost"):
        require([], replace(ending, faults=[Fault("lost", "look")]), in_time=False)
