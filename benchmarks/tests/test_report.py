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
from bench.documents import END, begin_of, fill
from bench.errors import BenchmarkError
from bench.gate import Ending, Fault
from bench.measuring import Measured
from bench.meters import Counts
from bench.operations import Latencies
from bench.plots import Axis, Line
from bench.results import Results
from bench.running import require
from bench.scenarios import closed, opened
from bench.settings import number_of
from bench.telemetry import telemetry_table

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
    assert "| open 500 | 500 | 1.0 | 2.0 | 3.0 | 4.0 | 5.0 | 6.0 | 7.0 | 8.0 | 600 | 0 |" in shown


def test_a_run_that_does_not_count_shows_no_figures():
    shown = report.latency_table([measured(faults=[Fault("2 payments lost", "look")])])
    assert "does not count: 2 payments lost" in shown
    assert "500 |" not in shown.splitlines()[-1].removeprefix("| open 500 |")


def test_cost_and_memory_are_without_mocks_and_infrastructure():
    assert report.cpu_us(measured()) == 600
    assert report.services_bytes(measured()) == 150 * 2**20
    assert "confirm ← t | 2.5 |" in report.batch_table([measured()])
    assert "| bytes of WAL | 9,000.0 |" in report.bytes_table([measured()])
    assert "| gateway | 0.7 | 6.7 | 3 |" in report.cores_table(measured(), (1_000, 10_000), 2_000)


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


def test_bars_are_drawn_to_scale_with_the_largest_first_and_without_tiny_ones(tmp_path: Path):
    plots.write_bars(tmp_path / "b.svg", "A & B", {"kafka": 50.0, "confirm": 100.0, "otp": 1.0})
    drawn = ET.parse(tmp_path / "b.svg").getroot()  # noqa: S314 - we wrote it
    bars = [one.attrib for one in drawn.iter() if one.tag.endswith("rect")][1:]
    assert float(bars[0]["width"]) == 2 * float(bars[1]["width"])
    texts = [one.text for one in drawn.iter() if one.tag.endswith("text")]
    assert texts == ["A & B", "confirm", "100", "kafka", "50"]


def _results() -> Results:
    names = ("closed 1", "closed 256", "open 500", "code 200", "repeats 500", "kafka 64")
    closed_1, busiest, opened_500, code, repeats, kafka = (
        measured(scenario=replace(closed(1), name=name)) for name in names
    )
    code = replace(code, answers={**code.answers, "code": code.answers["order"]})
    late = replace(repeats, faults=[Fault("a loss", "look")])
    rounds = {"off": [measured(100.0)], "5 %": [measured(96.0)], "100 %": [measured(60.0)]}
    ending = Ending({"delivered": 10}, 5, 1.0, 40, [Fault("gone", "look")])
    about, flows = [("machine", "m")], [code, late]
    baseline = Baseline(100, 0.1)
    return Results(
        about, [closed_1, busiest], [opened_500], flows, [kafka], rounds, baseline, ending
    )


def test_results_are_written_and_fill_the_documents(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    for name in ("RESULTS", "IMAGES", "SIZING", "PERFORMANCE"):
        monkeypatch.setattr(results, name, tmp_path / name)
    for name in ("SIZING", "PERFORMANCE"):
        (tmp_path / name).write_text(f"before\n{begin_of('make bench')}\nold\n{END}\nafter\n")
    results.write(_results())
    written = (tmp_path / "RESULTS").read_text()
    assert "8 of 9 runs count" in written
    assert "* **Does not count:** gone." in written
    for name in ("SIZING", "PERFORMANCE"):
        filled = (tmp_path / name).read_text()
        assert filled.startswith("before\n")
        assert filled.endswith("after\n")
        assert "old" not in filled
    assert {path.name for path in (tmp_path / "IMAGES").iterdir()} == {"latency.svg", "cpu.svg"}


def test_a_goal_shows_its_measured_value_and_a_run_that_does_not_count_reaches_none():
    shown = results.goals(_results())
    assert "| sustained: at least 1,500/s | 500 /s | no |" in shown
    assert "| CPU of a payment: at most 1,300 µs | 600 µs | yes |" in shown
    assert "| memory of all services: at most 1 GiB | no run counts | no |" in shown
    assert "| telemetry at 5 %: at least 95 % of the rate | 96% | yes |" in shown
    assert "| telemetry at 100 %: at least 600/s | 60 /s | no |" in shown
    assert "| share of the baseline's rate: at least 25 % | 50% of 1,000 /s | yes |" in shown


def test_the_cost_of_telemetry_is_a_ratio_to_the_window_without_it_of_the_same_round():
    rounds = {"off": [measured(100.0), measured(200.0)], "5 %": [measured(90.0), measured(190.0)]}
    assert "| 5 % | 140 | 0.93 (0.90 … 0.95) |" in telemetry_table(rounds)


@pytest.mark.parametrize(
    ("document", "command"),
    [
        (results.SIZING, "make bench"),
        (results.SIZING, "make bench-scale"),
        (results.PERFORMANCE, "make bench"),
        (results.PERFORMANCE, "make bench-against"),
        *((results.RESULTS_LONG, f"make bench-{name}") for name in ("flat", "soak", "backlog")),
    ],
)
def test_a_document_has_the_marks_of_each_command_that_fills_it(document: Path, command: str):
    assert re.search(f"{begin_of(command)}\n.*?{END}", document.read_text(), re.DOTALL)


def test_a_document_without_the_marks_is_refused(tmp_path: Path):
    (tmp_path / "a.md").write_text("nothing")
    with pytest.raises(BenchmarkError, match=r"a\.md has no marks for `make bench`"):
        fill(tmp_path / "a.md", "make bench", "figures")


@pytest.mark.parametrize("value", ["0", "-1", "x", "16"])
def test_a_number_out_of_range_is_refused_by_the_name_of_its_setting(
    monkeypatch: pytest.MonkeyPatch, value: str
):
    monkeypatch.setenv("MINUTES", value)
    with pytest.raises(
        BenchmarkError, match=f"MINUTES must be a number from 1 to 15, not '{value}'"
    ):
        number_of("MINUTES", 15, 15)


def test_cpu_counts_running_and_ended_children():
    spin = "sum(range(90_000_000))"
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
        parent.communicate()
    assert used["ended"] > 0.2
    assert used["running"] > used["ended"]


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
