"""What a report says."""

from datetime import timedelta

import pytest

from sample.domain import report_of
from testkit.events import NOON


@pytest.mark.parametrize("late_s", [0, 90])
def test_a_report_has_the_time_that_it_was_due_at_and_that_it_was_made_at(late_s):
    made_at = NOON + timedelta(seconds=late_s)
    report = report_of(NOON, made_at, instance=1)
    assert (report.due_at, report.made_at, report.instance) == (NOON, made_at, 1)


def test_a_report_is_never_made_before_it_is_due():
    assert report_of(NOON, NOON - timedelta(seconds=1), 0).made_at == NOON
