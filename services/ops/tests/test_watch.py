"""What the continuous check remembers between its rounds."""

from collections import Counter

from ops.domain.findings import NAMES, Findings, Violation
from ops.watch import Sweep


def owners(*invariants):
    found = Findings()
    for invariant in invariants:
        found.add(Violation(invariant, "p", "wrong"))
    return found


def test_every_invariant_is_told_even_if_it_holds():
    assert Sweep().violations() == dict.fromkeys(sorted(NAMES), 0.0)


def test_what_a_slice_has_found_stands_until_all_have_been_looked_at_again():
    sweep = Sweep()
    sweep.note_slice(Counter({"I9": 2}), is_last=False)
    assert sweep.violations()["I9"] == 2
    sweep.note_slice(Counter(), is_last=True)
    assert sweep.violations()["I9"] == 2
    sweep.note_slice(Counter(), is_last=False)
    assert sweep.violations()["I9"] == 2
    sweep.note_slice(Counter(), is_last=True)
    assert sweep.violations()["I9"] == 0


def test_what_owners_have_found_is_as_of_the_last_round():
    sweep = Sweep()
    sweep.note_owners(owners("I3", "I7"))
    assert (sweep.violations()["I3"], sweep.violations()["I7"]) == (1, 1)
    sweep.note_owners(owners())
    assert sweep.violations()["I3"] == 0
    assert "I7" not in sweep.violations()
