"""What the continuous check remembers between its rounds."""

from collections import Counter
from datetime import datetime, timedelta

import pytest

from ops.check.examination import Limits
from ops.check.sources import LAST
from ops.domain.errors import NotAskedError
from ops.domain.findings import NAMES, Findings, Violation
from ops.watch import Sweep, Times, Watch
from testkit.events import NOON
from testkit.memory import SteadyClock


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


class Owners:
    """Owners that find a row where it is asked about: by its time, or by a whole check."""

    def __init__(self):
        self.asked = []
        self.broken_at = None
        self.answers = True

    def owners(self):
        return ("confirm", "risk", "otp", "settlement", "notification", "audit")

    def owner_findings(self, owner, since=None, **_query):
        if not self.answers:
            raise NotAskedError(f"{owner} is away")
        self.asked.append(since)
        is_seen = self.broken_at and (
            since is None or datetime.fromisoformat(since) < self.broken_at
        )
        found = [{"invariant": "I3", "account": "acc-1", "details": "a balance differs"}]
        violations = found if owner == "confirm" and is_seen else []
        return {"violations": violations, "unfinished": [], "parked": 0, "dead_letters": 0}

    def last_of_page(self, _after):
        return LAST

    def joined(self, _span):
        return iter(())


class Nothing:
    def newest(self, _findings):
        pass


@pytest.fixture
def owners_asked():
    return Owners()


@pytest.fixture
def clock():
    return SteadyClock(NOON)


@pytest.fixture
def watch(owners_asked, clock):
    return Watch(owners_asked, Nothing(), clock, Limits(), Times())


def rounds(watch, clock, count):
    for _ in range(count):
        clock.pass_time(minutes=1)
        watch.round()
    return watch.sweep.violations()["I3"]


def test_a_round_asks_about_what_has_changed_since_the_round_before(watch, owners_asked, clock):
    watch.whole()
    rounds(watch, clock, 30)
    assert owners_asked.asked[0] is None
    assert set(owners_asked.asked[-6:]) == {(clock.now() - timedelta(minutes=6)).isoformat()}


def test_what_breaks_now_is_told_by_the_next_round_until_it_is_gone(watch, owners_asked, clock):
    watch.whole()
    rounds(watch, clock, 10)
    owners_asked.broken_at = clock.now()
    assert rounds(watch, clock, 1) == 1
    assert rounds(watch, clock, 100) == 1
    owners_asked.broken_at = None
    assert rounds(watch, clock, 1) == 0


def test_what_broke_before_the_checkpoint_is_told_by_the_whole_check_until_the_next(
    watch, owners_asked, clock
):
    owners_asked.broken_at = clock.now() - timedelta(days=1)
    assert rounds(watch, clock, 1) == 0
    watch.whole()
    assert rounds(watch, clock, 30) == 1
    owners_asked.broken_at = None
    watch.whole()
    assert rounds(watch, clock, 1) == 0


def test_a_whole_check_lets_the_checkpoint_move_past_what_it_has_found(watch, owners_asked, clock):
    rounds(watch, clock, 10)
    owners_asked.broken_at = clock.now()
    rounds(watch, clock, 60)
    watch.whole()
    assert rounds(watch, clock, 10) == 1
    assert owners_asked.asked[-1] > owners_asked.broken_at.isoformat()


def test_what_happened_while_an_owner_was_away_is_asked_about_later(watch, owners_asked, clock):
    rounds(watch, clock, 2)
    owners_asked.answers = False
    before = watch.sweep.unanswered
    rounds(watch, clock, 30)
    owners_asked.broken_at = clock.now() - timedelta(minutes=20)
    assert watch.sweep.unanswered > before
    owners_asked.answers = True
    assert rounds(watch, clock, 1) == 1
    assert watch.sweep.unanswered == 0


def test_a_whole_check_that_is_not_answered_is_told_and_forgets_nothing(watch, owners_asked, clock):
    owners_asked.broken_at = clock.now() - timedelta(days=1)
    watch.whole()
    owners_asked.answers = False
    watch.whole()
    owners_asked.answers = True
    assert rounds(watch, clock, 1) == 1
    assert watch.sweep.unanswered > 0


def test_a_whole_check_is_made_nightly_and_sooner_while_something_is_wrong(
    watch, owners_asked, clock
):
    watch.whole()
    assert watch._whole_due == NOON + timedelta(hours=14)
    owners_asked.broken_at = clock.now()
    rounds(watch, clock, 3)
    assert watch._whole_due == NOON + timedelta(minutes=2)
    watch.whole()
    assert watch._whole_due == clock.now() + timedelta(minutes=1)


def test_a_long_whole_check_is_repeated_within_the_hour_and_not_all_the_time():
    times = Times(every_s=60, whole_hour=2)
    assert times.again(NOON, timedelta(seconds=1)) == NOON + timedelta(minutes=1)
    assert times.again(NOON, timedelta(minutes=1)) == NOON + timedelta(minutes=10)
    assert times.again(NOON, timedelta(hours=1)) == NOON + timedelta(hours=1)
    assert times.tonight(NOON.replace(hour=2)) == NOON.replace(hour=2) + timedelta(days=1)
