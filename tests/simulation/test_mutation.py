"""Each planted bug is caught: a checker that finds nothing in them is worth nothing."""

import pytest
from mutation import hunt
from planted_bugs import BUGS

SEEDS = 400
RARE = {
    "no epoch guard",
    "dead letter after offset",
    "not found taken as rejected",
    "new uetr on retry",
}
"""Shown by `make mutation-test` alone: they take longer than a test may."""


@pytest.mark.parametrize(
    "number",
    [pytest.param(number, id=bug.name) for number, bug in enumerate(BUGS) if bug.name not in RARE],
)
def test_a_planted_bug_is_caught(number):
    assert hunt(number, SEEDS) is not None
