"""A breaker admits one probe at a time, in whatever order calls end."""

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from service_runtime.breaker import (
    IN_A_ROW,
    LEAST_CALLS,
    OPEN_S,
    SUCCESSES_TO_CLOSE,
    WINDOW_S,
    Breaker,
    State,
)


def call(breaker, now_s, ok):
    assert breaker.admits(now_s)
    breaker.ended(now_s, ok=ok)


def opened(now_s=0.0):
    breaker = Breaker()
    for _ in range(IN_A_ROW):
        call(breaker, now_s, ok=False)
    return breaker


def test_an_idle_breaker_is_shown_open_only_while_it_refuses():
    breaker = opened()
    assert breaker.shown(OPEN_S - 0.1) is State.OPEN
    assert breaker.shown(OPEN_S) is State.HALF_OPEN
    assert breaker.state is State.OPEN


def test_five_failures_in_a_row_open_it():
    breaker = Breaker()
    for _ in range(IN_A_ROW - 1):
        call(breaker, 0, ok=False)
    assert breaker.state is State.CLOSED

    call(breaker, 0, ok=False)

    assert breaker.state is State.OPEN
    assert not breaker.admits(OPEN_S - 0.1)


def test_half_of_twenty_calls_failed_open_it():
    breaker = Breaker()
    for number in range(LEAST_CALLS - 1):
        call(breaker, 0, ok=number % 2 == 0)
    assert breaker.state is State.CLOSED

    call(breaker, 0, ok=False)

    assert breaker.state is State.OPEN


def test_failures_that_left_the_window_do_not_count():
    breaker = Breaker()
    for number in range(LEAST_CALLS - 1):
        call(breaker, 0, ok=number % 2 == 0)

    call(breaker, WINDOW_S + 1, ok=False)

    assert breaker.state is State.CLOSED


def test_two_probes_one_after_the_other_close_it():
    breaker = opened()
    for _ in range(SUCCESSES_TO_CLOSE):
        assert breaker.state is not State.CLOSED
        call(breaker, OPEN_S, ok=True)

    assert breaker.state is State.CLOSED


def test_a_probe_that_fails_opens_it_again():
    breaker = opened()
    call(breaker, OPEN_S, ok=True)
    call(breaker, OPEN_S, ok=False)

    assert breaker.state is State.OPEN
    assert not breaker.admits(OPEN_S + OPEN_S - 0.1)
    assert breaker.admits(OPEN_S + OPEN_S)


def test_ten_concurrent_calls_take_one_probe_slot():
    breaker = opened()

    assert [breaker.admits(OPEN_S) for _ in range(10)] == [True] + [False] * 9


def test_a_cancelled_probe_is_no_result_and_frees_the_probe_slot():
    breaker = opened()
    assert breaker.admits(OPEN_S)
    breaker.ended(OPEN_S, ok=None)

    assert breaker.state is State.HALF_OPEN
    assert breaker.admits(OPEN_S)


def test_cancellations_never_open_it():
    breaker = Breaker()
    for _ in range(100):
        assert breaker.admits(0)
        breaker.ended(0, ok=None)

    assert breaker.state is State.CLOSED


def test_a_call_sent_before_the_breaker_opened_is_not_the_probe():
    breaker = Breaker()
    assert breaker.admits(0)
    for _ in range(IN_A_ROW):
        call(breaker, 0, ok=False)

    assert not breaker.admits(OPEN_S)
    breaker.ended(OPEN_S, ok=None)
    assert breaker.admits(OPEN_S)


@pytest.mark.parametrize(("at_s", "shut"), [(OPEN_S - 1, True), (OPEN_S, False)])
def test_reading_the_breaker_state_takes_no_probe_slot(at_s, shut):
    breaker = opened()

    assert breaker.is_open(at_s) is shut
    assert breaker.is_open(at_s) is shut
    assert breaker.admits(at_s) is not shut
    assert breaker.is_open(at_s)


class BreakerMachine(RuleBasedStateMachine):
    """Calls begin and end in any order; time passes."""

    def __init__(self):
        super().__init__()
        self.breaker = Breaker()
        self.now_s = 0.0
        self.out = []

    @rule(seconds=st.sampled_from([0.0, 0.5, 5.0, WINDOW_S, OPEN_S]))
    def time_passes(self, seconds):
        self.now_s += seconds

    @rule()
    def begins(self):
        was_shut = self.breaker.is_open(self.now_s)
        admitted = self.breaker.admits(self.now_s)
        if was_shut:
            assert not admitted
        if self.breaker.state is State.CLOSED:
            assert admitted
        if admitted:
            self.out.append(self.breaker.state)

    @precondition(lambda self: self.out)
    @rule(data=st.data(), ok=st.sampled_from([True, False, None]))
    def ends(self, data, ok):
        self.out.pop(data.draw(st.integers(0, len(self.out) - 1)))
        self.breaker.ended(self.now_s, ok=ok)

    @invariant()
    def never_more_than_one_probe(self):
        if self.breaker.state is State.HALF_OPEN:
            assert len(self.out) <= 1

    @invariant()
    def an_open_breaker_opens_its_door_in_time(self):
        later = self.now_s + OPEN_S
        if not self.out:
            assert not self.breaker.is_open(later)


TestBreaker = BreakerMachine.TestCase
TestBreaker.settings = settings(max_examples=500, stateful_step_count=50)
