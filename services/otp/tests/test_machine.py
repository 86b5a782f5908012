"""Codes as a state machine: I10 holds for requests in any order.

The model knows the codes and counts independently; the handlers run on the memory twin.
"""

from collections import Counter
from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from otp.store import MemoryChallenges
from payment_schemas.events.otp import Challenged, VerificationRequested, Verified
from service_runtime.messages import Batch, Received
from testkit.events import NOON, received
from testkit.memory import MemoryDatabase, SteadyClock

PAYMENTS = ["tx-1", "tx-2"]


def finished(work):
    """Run a coroutine of the memory twins, which never waits; return its result."""
    try:
        work.send(None)
    except StopIteration as end:
        return end.value
    raise AssertionError("a memory twin waited")


class Codes(RuleBasedStateMachine):
    """Two payments, up to three challenges each, any codes, repeated requests, passing time."""

    challenges = Bundle("challenges")
    requests = Bundle("requests")

    @initialize()
    def start(self):
        self.clock = SteadyClock(NOON)
        self.database = MemoryDatabase(self.clock)
        self.issue, self.verify = self.build.handlers(self.clock, MemoryChallenges)
        self.requested = Counter()
        self.latest = {}
        self.drawn = 0
        self.verdicts = {}
        self.counted = Counter()
        self.accepted = Counter()

    def handled(self, handler, events):
        """Handle events in one transaction, without an inbox."""
        items = [self.item(event) for event in events]
        batch: Batch[Received] = Batch(items, self.clock.now())

        async def run():
            async with self.database.transaction() as tx:
                return await handler.handle(batch, handler.store(tx))

        return [emit.event for emit in finished(run())]

    def item(self, event):
        self.drawn += 1
        return received(event, UUID(int=self.drawn))

    @rule(target=challenges, payment=st.sampled_from(PAYMENTS), twice=st.booleans())
    def request_a_challenge(self, payment, twice):
        number = min(self.requested[payment] + 1, 3)
        request = self.build.requested(payment, number, expires_at=NOON + timedelta(days=1))
        issued: Sequence[Challenged] = self.handled(self.issue, [request] * (1 + twice))
        assert len(issued) == (number > self.requested[payment])
        self.requested[payment] = number
        if issued:
            self.latest[payment] = issued[0]
        return self.latest[payment]

    @rule(target=requests, challenge=challenges, guesses=st.lists(st.booleans(), max_size=8))
    def try_codes_at_once(self, challenge, guesses):
        tried = [self.tried(challenge, right=right) for right in guesses]
        self.judge(tried)
        return tuple(tried)

    @rule(tried=requests)
    def try_the_same_requests_again(self, tried):
        self.judge(tried)

    @rule(challenge=challenges, payment=st.sampled_from(PAYMENTS))
    def try_the_right_code_on_a_payment(self, challenge, payment):
        payment_id = self.build.payment(payment).payment_id
        self.judge([self.tried(challenge, right=True, payment_id=payment_id)])

    @rule(challenge=challenges, seconds=st.sampled_from([1, 100, 299, 300]))
    def let_time_pass(self, challenge, seconds):
        self.clock.pass_time(seconds=seconds)

    def tried(self, challenge, *, right, **fields):
        self.drawn += 1
        code = self.build.code_of(challenge) if right else self.build.wrong_code_of(challenge)
        later = NOON + timedelta(days=10)
        request_id = UUID(int=self.drawn)
        event = self.build.tried(code, challenge, request_id=request_id, expires_at=later, **fields)
        return event, challenge, right

    def judge(self, tried):
        verdicts = self.handled(self.verify, [event for event, _, _ in tried])
        assert len(verdicts) == len(tried)
        for (event, challenge, right), verdict in zip(tried, verdicts, strict=True):
            self.compare(event, challenge, verdict, right=right)

    def compare(
        self, event: VerificationRequested, challenge: Challenged, verdict: Verified, *, right: bool
    ):
        """Compare a verdict with the model's, which does not use the service's state."""
        assert (verdict.request_id, verdict.challenge_id) == (event.request_id, event.challenge_id)
        if event.request_id not in self.verdicts:
            self.verdicts[event.request_id] = self.expected(event, challenge, right=right)
        assert (verdict.result, verdict.challenge_over) == self.verdicts[event.request_id]

    def expected(self, event, challenge, *, right):
        name = challenge.challenge_id
        is_own = event.payment_id == challenge.payment_id
        latest = self.latest[challenge.transaction_id].challenge_id == name
        if not is_own or not latest or self.accepted[name]:
            return "expired", True
        if self.counted[name] == 5:
            return "locked", True
        if self.clock.now() >= challenge.code_expires_at:
            return "expired", True
        self.counted[name] += 1
        self.accepted[name] += right
        if right:
            return "valid", True
        return ("locked", True) if self.counted[name] == 5 else ("invalid", False)

    @invariant()
    def the_tables_agree_with_the_model(self):
        if not hasattr(self, "database"):
            return
        stored = self.database.tables.own["challenge"]
        assert {name: one.attempts for name, one in stored.items() if one.attempts} == {
            name: count for name, count in self.counted.items() if count
        }
        assert all(one.attempts <= 5 and one.number <= 3 for one in stored.values())
        assert all(count <= 1 for count in self.accepted.values())


def test_codes_keep_their_promises_for_requests_in_any_order(build):
    run_state_machine_as_test(
        type("TheseCodes", (Codes,), {"build": build}),
        settings=settings(max_examples=500, stateful_step_count=50),
    )
