"""Retries, parking, pauses and switching off, by tables."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from testkit.events import NOON
from webhooks.domain.attempts import (
    FAILING_AT_MOST,
    PAUSE_MOST,
    RETRY_AFTER,
    RETRY_WITHIN,
    Attempt,
    Delivery,
    Health,
    Status,
    after_attempt,
    after_attempts,
    resumed,
)

NEW = Delivery(Status.PENDING, 0, NOON, NOON + RETRY_WITHIN)
GOOD, BAD = Attempt(20, 200), Attempt(20, 500, "status_500")


@pytest.mark.parametrize(("tries", "wait"), list(enumerate((*RETRY_AFTER, RETRY_AFTER[-1]))))
def test_each_failure_is_followed_by_the_wait_of_the_schedule(tries, wait):
    now, until = NOON, NOON + timedelta(days=9)
    after = after_attempt(replace(NEW, tries=tries, retry_until=until), BAD, now, jitter=0)

    assert (after.status, after.tries, after.due_at) == (Status.PENDING, tries + 1, now + wait)


@given(st.integers(0, 20), st.floats(0, 1, exclude_max=True))
def test_a_wait_is_longer_by_its_jitter_and_never_shorter_than_the_schedule(tries, jitter):
    delivery = replace(NEW, tries=tries, retry_until=NOON + timedelta(days=9))
    wait = after_attempt(delivery, BAD, NOON, jitter).due_at - NOON
    least = RETRY_AFTER[min(tries, len(RETRY_AFTER) - 1)]

    assert least <= wait <= least * 1.2


def test_a_success_ends_a_delivery():
    after = after_attempt(NEW, GOOD, NOON, 0)
    assert (after.status, after.tries, after.due_at) == (Status.DELIVERED, 1, None)


def test_the_last_call_is_made_24_hours_after_the_first_and_then_the_delivery_is_parked():
    delivery, now, calls = NEW, NOON, []
    while delivery.due_at is not None:
        now = max(now, delivery.due_at)
        calls.append(now - NOON)
        delivery = after_attempt(delivery, BAD, now, jitter=0.5)

    assert delivery.status is Status.FAILED
    assert calls[-1] == RETRY_WITHIN
    assert len(calls) == len(RETRY_AFTER) + 2


def test_an_endpoint_that_is_gone_gets_no_retry_and_is_switched_off():
    gone = Attempt(20, 410, "status_410")
    health = after_attempts(Health(), [gone, gone], NOON)

    assert after_attempt(NEW, gone, NOON, 0).status is Status.FAILED
    assert (health.is_on, health.off_reason) == (False, "gone")


def test_an_endpoint_that_fails_for_three_days_is_switched_off_and_not_earlier():
    failing = after_attempts(Health(), [BAD], NOON)
    almost = after_attempts(failing, [BAD], NOON + FAILING_AT_MOST - timedelta(seconds=1))
    over = after_attempts(almost, [BAD], NOON + FAILING_AT_MOST)

    assert almost.is_on
    assert (over.is_on, over.off_reason) == (False, "failing")
    assert resumed() == Health()


def test_one_success_within_three_days_keeps_an_endpoint_on():
    failing = after_attempts(Health(), [BAD], NOON)
    well = after_attempts(failing, [GOOD], NOON + timedelta(days=2))
    again = after_attempts(well, [BAD], NOON + timedelta(days=4))

    assert (well.failures, well.failing_since, again.is_on) == (0, None, True)


def test_a_failing_endpoint_pauses_longer_each_time_up_to_a_bound():
    health, pauses = Health(), []
    for _ in range(12):
        health = after_attempts(health, [BAD], NOON)
        pauses.append(health.paused_until - NOON)

    assert pauses[:3] == [timedelta(seconds=5), timedelta(seconds=10), timedelta(seconds=20)]
    assert pauses[-1] == PAUSE_MOST


@pytest.mark.parametrize(
    ("attempt", "is_fast"),
    [
        pytest.param(GOOD, True, id="answers at once"),
        pytest.param(Attempt(1000, 200), False, id="answers slowly"),
        pytest.param(BAD, False, id="fails"),
    ],
)
def test_only_an_endpoint_that_has_answered_at_once_is_in_the_fast_lanes(attempt, is_fast):
    assert not Health().is_fast
    assert after_attempts(Health(), [attempt], NOON).is_fast is is_fast


def test_an_endpoint_that_its_owner_switched_off_keeps_that_reason():
    off = Health(is_on=False, off_reason="owner")
    assert after_attempts(off, [Attempt(1, 410, "status_410")], NOON).off_reason == "owner"
