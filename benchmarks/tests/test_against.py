"""The comparison of two revisions: medians, ratios within a round, and what is refused."""

import pytest

from bench.against import against, comparison
from bench.errors import BenchmarkError


def _figures(rate: float) -> dict[str, float]:
    return {"rate": rate, "cpu_us": 2000.0, "p50_ms": 10.0, "p99_ms": 20.0}


def test_a_ratio_is_taken_within_a_round_so_that_a_slow_round_does_not_count_against_one_side():
    pairs = [{"this": _figures(2 * rate), "old": _figures(rate)} for rate in (100.0, 300.0, 500.0)]
    assert "| rate | 600.0 | 300.0 | 2.00 | 2.00 to 2.00 |" in comparison(pairs, ["this", "old"])


def test_the_spread_names_the_least_and_the_greatest_ratio():
    pairs = [{"this": _figures(rate), "old": _figures(100.0)} for rate in (150.0, 90.0, 120.0)]
    assert "| 120.0 | 100.0 | 1.20 | 0.90 to 1.50 |" in comparison(pairs, ["this", "old"])


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
