"""Instructions count if each was settled once, and booked once at its bank."""

from datetime import UTC, datetime

import pytest

from bench.bank_kills import Disorder, disorder_of, require_enough
from bench.banks import results
from bench.errors import BenchmarkError
from bench.instructions import HTTP, KAFKA, Outcome, Passed, faults_of

ONCE = {"a": 1, "b": 1}
BOOKED = {"a": ["south-bank"], "b": ["south-bank"]}
PARTS = ("settlement", "south_bank", "partner_bank", "kafka", "postgres")


def passed(bank=KAFKA, settled=ONCE, seconds=1.0):
    cpu_us = dict.fromkeys(PARTS, 100.0) | {"generator": 50.0}
    return Passed(bank, ["a", "b"], Outcome(settled, datetime.now(UTC)), seconds, cpu_us)


def test_instructions_that_were_settled_and_booked_once_count():
    assert list(faults_of(passed(), BOOKED)) == []


@pytest.mark.parametrize(
    ("settled", "books", "what"),
    [
        ({"a": 1}, BOOKED, "1 of 2 are not settled once, such as b"),
        ({"a": 2, "b": 1}, BOOKED, "1 of 2 are not settled once, such as a"),
        (ONCE, {"a": ["south-bank"]}, "1 of 2 are not booked once, such as b"),
        (ONCE, BOOKED | {"a": ["south-bank"] * 2}, "1 of 2 are not booked once, such as a"),
        (ONCE, BOOKED | {"a": ["north-bank"]}, "1 of 2 are not booked once, such as a"),
        (ONCE, BOOKED | {"a": ["south-bank", "north-bank"]}, "1 of 2 are not booked once"),
    ],
)
def test_a_lost_or_doubled_instruction_is_named(settled, books, what):
    (fault,) = faults_of(passed(settled=settled), books)
    assert what in str(fault)


@pytest.mark.parametrize(("seconds", "reached"), [(1 / 1000, "yes"), (1 / 500, "no")])
def test_the_median_over_kafka_decides_about_the_goal(seconds, reached):
    runs = [passed(seconds=seconds), passed(seconds=9.0), passed(seconds=seconds), passed(HTTP)]
    text = results(runs)
    assert f"at least 1,500/s over Kafka: {reached}" in text
    assert "| HTTP | 2 | 2 … 2 | 500 | 100 | 100 | 100 | 100 | 50 |" in text


def test_too_few_instructions_for_the_kills_are_refused():
    require_enough(8_400, 20)
    with pytest.raises(BenchmarkError, match="COUNT must be at least 8,400 for 20 kills"):
        require_enough(8_399, 20)


def test_the_disorder_of_reports_is_counted_by_instruction():
    reports = [("b", "ACCEPTED"), ("a", "PENDING"), ("a", "ACCEPTED"), ("a", "ACCEPTED")]
    reports += [("b", "PENDING"), ("b", "PENDING"), ("of before", "ACCEPTED")]
    found = disorder_of(reports, ["a", "b"])
    assert (found.reports, found.twice, found.stale, found.early) == (6, 1, 1, 1)


@pytest.mark.parametrize(
    ("twice", "stale", "early", "enough"),
    [(20, 2, 2, True), (19, 2, 2, False), (20, 1, 2, False), (20, 2, 1, False)],
)
def test_a_run_shows_something_only_with_enough_disorder(twice, stale, early, enough):
    assert Disorder(60, twice, stale, early).is_enough(20) is enough
