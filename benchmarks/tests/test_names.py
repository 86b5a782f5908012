"""Names of payees: the same in each run, and new ones as often as asked."""

import pytest

from bench.names import KNOWN, name_of
from payment_schemas.names import person_name


@pytest.mark.parametrize("share", [0.0, 0.1, 1.0])
def test_the_share_of_new_names_is_as_asked(share):
    known = {name_of("known", number, 0.0) for number in range(KNOWN)}
    names = [name_of("run", number, share) for number in range(1000)]
    new = [name for name in names if name not in known]
    assert len(new) == pytest.approx(1000 * share, abs=10)
    assert len(set(new)) == pytest.approx(len(new), abs=5)
    assert names == [name_of("run", number, share) for number in range(1000)]
    assert all(person_name(name).reveal() == name for name in names)


def test_two_runs_have_other_new_names():
    first, second = ({name_of(run, number, 1.0) for number in range(100)} for run in ("a", "b"))
    assert not first & second
