"""The findings that the continuous check keeps between its rounds."""

from collections import Counter
from datetime import datetime, timedelta

import pytest

from ops.check.examination import Limits
from ops.check.sources import LAST
from ops.domain.errors import UnavailableError
from ops.domain.findings import NAMES, Findings, Violation
from ops.watch import Sweep, Times, Watch
from testkit.events import NOON
from testkit.memory import SteadyClock


def owners(*invariants):
    found = Findings()
    for invariant in invariants:
        found.add(Violation(invariant, "p", "wrong"))
    return found


def test_every_invariant_has_a_value_even_if_it_holds():
    assert Sweep().violations() == dict.fromkeys(sorted(NAMES), 0.0)


def test_findings_of_a_slice_stay_until_all_slices_were_checked_again():
    sweep = Sweep()
    sweep.note_slice(Counter({"I9": 2}), is_last=False)
    assert sweep.violations()["I9"] == 2
    sweep.note_slice(Counter(), is_last=True)
    assert sweep.violations()["I9"] == 2
    sweep.note_slice(Counter(), is_last=False)
    assert sweep.violations()["I9"] == 2
    sweep.note_slice(Counter(), is_last=True)
    assert sweep.violations()["I9"] == 0


def test_findings_of_the_services_are_those_of_the_last_round():
    sweep = Sweep()
    sweep.note_owners(owners("I3", "I7"))
    assert (sweep.violations()["I3"], sweep.violations()["I7"]) == (1, 1)
    sweep.note_owners(owners())
    assert sweep.violations()["I3"] == 0
    assert "I7" not in sweep.violations()


class Owners:
    """Services that report a violation if the query covers its time."""

    def __init__(self):
        self.asked = []
        self.broken_at = None
        self.responds = True

    def owners(self):
        return ("confirm", "risk", "otp", "settlement", "notification", "audit")

    def owner_findings(self, owner, since=None, **_query):
        if not self.responds:
            raise UnavailableError(f"{owner} is away")
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
    def handled(self, _findings):
        pass


@pytest.fixture
def services():
    return Owners()


@pytest.fixture
def clock():
    return SteadyClock(NOON)


@pytest.fixture
def watch(services, clock):
    return Watch(services, Nothing(), clock, Limits(), Times())


def rounds(watch, clock, count):
    for _ in range(count):
        clock.pass_time(minutes=1)
        watch.round()
    return watch.sweep.violations()["I3"]


def test_a_round_queries_the_changes_since_the_previous_round(watch, services, clock):
    watch.whole()
    rounds(watch, clock, 30)
    assert services.asked[0] is None
    assert set(services.asked[-6:]) == {(clock.now() - timedelta(minutes=3)).isoformat()}


def test_a_new_violation_is_reported_until_it_ends(watch, services, clock):
    watch.whole()
    rounds(watch, clock, 10)
    services.broken_at = clock.now()
    assert rounds(watch, clock, 1) == 1
    assert rounds(watch, clock, 100) == 1
    services.broken_at = None
    assert rounds(watch, clock, 1) == 0


def test_an_old_violation_is_reported_from_one_whole_check_to_the_next(watch, services, clock):
    services.broken_at = clock.now() - timedelta(days=1)
    assert rounds(watch, clock, 1) == 0
    watch.whole()
    assert rounds(watch, clock, 30) == 1
    services.broken_at = None
    watch.whole()
    assert rounds(watch, clock, 1) == 0


def test_after_a_whole_check_the_checkpoint_passes_its_findings(watch, services, clock):
    rounds(watch, clock, 10)
    services.broken_at = clock.now()
    rounds(watch, clock, 60)
    watch.whole()
    assert rounds(watch, clock, 10) == 1
    assert services.asked[-1] > services.broken_at.isoformat()


def test_changes_during_an_outage_of_a_service_are_queried_later(watch, services, clock):
    rounds(watch, clock, 2)
    services.responds = False
    before = watch.sweep.unanswered
    rounds(watch, clock, 30)
    services.broken_at = clock.now() - timedelta(minutes=20)
    assert watch.sweep.unanswered > before
    services.responds = True
    assert rounds(watch, clock, 1) == 1
    assert watch.sweep.unanswered == 0


def test_a_whole_check_without_a_response_keeps_the_earlier_findings(watch, services, clock):
    services.broken_at = clock.now() - timedelta(days=1)
    watch.whole()
    services.responds = False
    watch.whole()
    services.responds = True
    assert rounds(watch, clock, 1) == 1
    assert watch.sweep.unanswered > 0


def test_a_whole_check_runs_nightly_and_sooner_after_a_finding(watch, services, clock):
    watch.whole()
    assert watch._whole_due == NOON + timedelta(hours=14)
    services.broken_at = clock.now()
    rounds(watch, clock, 3)
    assert watch._whole_due == NOON + timedelta(minutes=2)
    watch.whole()
    assert watch._whole_due == clock.now() + timedelta(minutes=1)


def test_a_long_whole_check_is_repeated_within_the_hour_with_pauses():
    times = Times(every_s=60, whole_hour=2)
    assert times.repeat_at(NOON, timedelta(seconds=1)) == NOON + timedelta(minutes=1)
    assert times.repeat_at(NOON, timedelta(minutes=1)) == NOON + timedelta(minutes=10)
    assert times.repeat_at(NOON, timedelta(hours=1)) == NOON + timedelta(hours=1)
    assert times.tonight(NOON.replace(hour=2)) == NOON.replace(hour=2) + timedelta(days=1)
