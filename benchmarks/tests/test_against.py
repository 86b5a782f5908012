"""The comparison of two revisions: medians, ratios within a round, and what is refused."""

import pytest

from bench.against import COMPARED, Pair, against, comparison, what_is_set
from bench.errors import BenchmarkError


def _pair(this: float, other: float) -> Pair:
    common = {"p50_ms": 10.0, "p99_ms": 20.0, "settled_p99_ms": 30.0}
    return {
        name: common | {"rate": rate, "cpu_us": 2000.0, "processes": {"kafka": rate, "otp": 1.0}}
        for name, rate in (("this", this), ("old", other))
    }


def test_a_ratio_is_taken_within_a_round_so_that_a_slow_round_does_not_count_against_one_side():
    pairs = [_pair(2 * rate, rate) for rate in (100.0, 300.0, 500.0)]
    shown = comparison({"closed 1": pairs}, "old")
    assert "| closed 1 | 2.00 (2.00 … 2.00) | 1.00 (1.00 … 1.00) |" in shown
    assert "| closed 1 | 600 / 300 | 2,000 / 2,000 | 10 / 10 | 20 / 20 | 30 / 30 |" in shown


def test_the_spread_names_the_least_and_the_greatest_ratio():
    pairs = [_pair(rate, 100.0) for rate in (150.0, 90.0, 120.0)]
    assert "| closed 1 | 1.20 (0.90 … 1.50) |" in comparison({"closed 1": pairs}, "old")


def test_cpu_is_compared_by_process_and_scenario_with_the_largest_first():
    shown = comparison({"closed 64": [_pair(8.0, 4.0)], "closed 1": [_pair(9.0, 3.0)]}, "old")
    assert shown.endswith("| kafka | 8 / 4 | 9 / 3 |\n| otp | 1 / 1 | 1 / 1 |\n")


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("ROUNDS", "0", "ROUNDS must be a number from 1 to 50, not '0'"),
        ("ONLY", "closed 3", "ONLY must be one of closed 256, closed 100, .*, not 'closed 3'"),
        ("REF", "", "REF must be a commit of this repository, not ''"),
        ("REF", "no-such-branch", "REF must be a commit of this repository, not 'no-such-branch'"),
    ],
)
def test_a_wrong_setting_is_refused_by_name_before_anything_starts(
    monkeypatch, name, value, message
):
    for setting in ("ROUNDS", "ONLY", "REF"):
        monkeypatch.delenv(setting, raising=False)
    monkeypatch.setenv(name, value)
    with pytest.raises(BenchmarkError, match=message):
        against(7_000, lambda _line: None)


@pytest.mark.parametrize("scenario", COMPARED, ids=lambda one: one.name)
def test_a_window_asks_for_nothing_that_an_older_revision_lacks(scenario):
    of_75c4bc5 = {"name", "in_flight", "rate", "flow", "warm_s", "seconds", "seed"}

    assert set(what_is_set(scenario)) <= of_75c4bc5
