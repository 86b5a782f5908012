"""Each planted bug is detected by one of its invariants."""

import pytest
from mutation import hunt
from planted_bugs import BUGS

SEEDS = 400
RARE = {
    "no epoch guard",
    "dead letter after offset",
    "new uetr on retry",
}
"""Only in `make mutation-test`, because they take too long for a test."""


@pytest.mark.parametrize(
    "number",
    [pytest.param(number, id=bug.name) for number, bug in enumerate(BUGS) if bug.name not in RARE],
)
def test_a_planted_bug_is_detected(number):
    assert hunt(number, SEEDS) is not None
