"""The limiter as a state machine: no window of a minute admits more than the limit."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from service_runtime.edge.limits import WINDOW_S, MemoryLimits

LIMIT = 3


def finished(work):
    """Run a coroutine that never waits, as the twin's do, to its end."""
    try:
        work.send(None)
    except StopIteration as end:
        return end.value
    raise AssertionError("the twin waited")


class Limiter(RuleBasedStateMachine):
    """Two users, two limits, any times; the model keeps the times of admitted requests."""

    @initialize()
    def start(self):
        self.now_s = 0
        self.limits = MemoryLimits(lambda: self.now_s)
        self.passed = {}

    @rule(
        kind=st.sampled_from(["user", "failed"]),
        who=st.sampled_from(["usr-1", "usr-2"]),
        times=st.integers(1, 5),
    )
    def ask(self, kind, who, times):
        passed = self.passed.setdefault((kind, who), [])
        for _ in range(times):
            wait_s = finished(self.limits.admit(kind, who, LIMIT))
            within = [at for at in passed if at > self.now_s - WINDOW_S]
            if wait_s is None:
                assert len(within) < LIMIT
                passed.append(self.now_s)
            else:
                assert len(within) == LIMIT
                assert wait_s == within[0] + WINDOW_S - self.now_s

    @rule(seconds=st.integers(1, 70))
    def let_time_pass(self, seconds):
        self.now_s += seconds

    @rule(kind=st.sampled_from(["user", "failed"]), who=st.sampled_from(["usr-1", "usr-2"]))
    def wait_as_reported(self, kind, who):
        """A request after the reported wait is admitted; one a second earlier is not."""
        wait_s = finished(self.limits.admit(kind, who, LIMIT))
        if wait_s is None:
            self.passed.setdefault((kind, who), []).append(self.now_s)
            return
        self.now_s += wait_s - 1
        assert (finished(self.limits.admit(kind, who, LIMIT)) is None) == (wait_s == 0)
        self.now_s += 1
        assert finished(self.limits.admit(kind, who, LIMIT)) is None
        self.passed[kind, who].append(self.now_s)


def test_no_window_admits_more_than_the_limit():
    run_state_machine_as_test(Limiter, settings=settings(max_examples=500, stateful_step_count=50))
