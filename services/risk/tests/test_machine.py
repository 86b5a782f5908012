"""Risk as a state machine: for any order of events, each payment has one reply.

The model keeps its own history; the handlers use the memory twin.
"""

from collections import Counter
from datetime import timedelta
from functools import partial
from uuid import UUID

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from risk.handlers import (
    Assessor,
    on_assessment_requested,
    on_due_assessments,
    on_payment_confirmed,
)
from risk.store import MemoryAssessments
from service_runtime.messages import Batch
from testkit.events import NOON, received
from testkit.memory import MemoryDatabase, MemoryWorkTable, SteadyClock

USERS = ["usr-1", "usr-2"]
PAYEES = ["payee-1", "payee-2"]
WINDOW = timedelta(minutes=10)
requests = st.tuples(st.sampled_from(USERS), st.sampled_from(PAYEES), st.integers(0, 12))


def run_to_end(work):
    """Run a coroutine that never waits, as with the memory twins, and return its result."""
    try:
        work.send(None)
    except StopIteration as end:
        return end.value
    raise AssertionError("a memory twin waited")


class RiskMachine(RuleBasedStateMachine):
    """Two users and payees, repeated payments and requests, look-ups that fail for a time."""

    @initialize()
    def start(self):
        self.clock = SteadyClock(NOON)
        self.database = MemoryDatabase(self.clock)
        self.table = MemoryWorkTable("assessment")
        self.assessor = Assessor(self.build.policy, float)
        self.silent = set()
        self.arrived = 0
        self.paid = {}
        self.waiting = {}
        self.scores = {}
        self.replies = Counter()

    def handle(self, handler, batch):
        async def run():
            async with self.database.transaction() as tx:
                return await handler(batch, MemoryAssessments(tx))

        for emit in run_to_end(run()):
            self.replies[emit.event.payment_id] += 1
            self.scores[emit.event.payment_id] = emit.event.score

    def evidence(self, items, request_of):
        found = [item for item in items if request_of(item).user_id not in self.silent]
        return {item.cause.id: self.build.evidence() for item in found}

    def items(self, events):
        self.arrived += len(events)
        first = self.arrived - len(events)
        return [received(event, UUID(int=first + n)) for n, event in enumerate(events)]

    @rule(success=requests)
    def succeed(self, success):
        user, payee, number = success
        event = self.build.confirmed(
            f"paid-{payee}-{number}",
            user_id=user,
            to_account=payee,
            confirmed_at=self.paid.get(success, self.clock.now()),
        )
        self.paid[success] = event.confirmed_at
        self.handle(on_payment_confirmed, Batch(self.items([event, event]), self.clock.now()))

    @rule(triples=st.lists(requests, min_size=1, max_size=5))
    def request_assessments(self, triples):
        now = self.clock.now()
        events = [
            self.build.requested(
                f"ask-{payee}-{number}",
                user_id=user,
                to_account=payee,
                requested_at=now,
                expires_at=NOON + timedelta(minutes=20),
            )
            for user, payee, number in triples
        ]
        expected = {event.payment_id: self.score(event) for event in events}
        known = {*self.scores, *self.waiting}
        items = self.items(events)
        batch = Batch(items, now, self.evidence(items, lambda item: item.event))
        self.handle(partial(on_assessment_requested, assessor=self.assessor), batch)
        for event in events:
            if event.payment_id not in known and now < event.expires_at:
                self.compare(event, expected[event.payment_id])

    def compare(self, request, score):
        if request.user_id in self.silent:
            self.waiting[request.payment_id] = request
            assert request.payment_id not in self.scores
        else:
            assert self.scores[request.payment_id] == score

    def score(self, request):
        """Score as in the contract: a new payee 40, more than five in ten minutes 10."""
        mine = {one: at for one, at in self.paid.items() if one[0] == request.user_id}
        known = any(payee == request.to_account for _, payee, _ in mine)
        recent = [at for at in mine.values() if at > self.clock.now() - WINDOW]
        return 40 * (not known) + 10 * (len(recent) > 5)

    @rule(user=st.sampled_from(USERS))
    def toggle_the_look_ups(self, user):
        self.silent ^= {user}

    @rule(seconds=st.sampled_from([0, 1, 61, 301, 1200]))
    def let_time_pass_and_work(self, seconds):
        self.clock.pass_time(seconds=seconds)
        due = run_to_end(self.claimed())
        expected = {item.row.payment_id: self.score(item.row) for item in due}
        batch = Batch(due, self.clock.now(), self.evidence(due, lambda item: item.row))
        self.handle(partial(on_due_assessments, assessor=self.assessor), batch)
        for item in due:
            over = self.clock.now() >= item.row.expires_at
            if over or item.row.user_id not in self.silent:
                del self.waiting[item.row.payment_id]
            assert self.scores.get(item.row.payment_id) == (
                None
                if item.row.payment_id in self.waiting or over
                else expected[item.row.payment_id]
            )

    async def claimed(self):
        async with self.database.transaction() as tx:
            return list(await self.table.claim(tx, 100, 10.0))

    @invariant()
    def each_payment_has_one_reply_or_waits(self):
        if not hasattr(self, "database"):
            return
        assert all(count == 1 for count in self.replies.values())
        leases = self.database.tables.own["assessment/lease"]
        due = {name for name, lease in leases.items() if lease.due_at is not None}
        assert due == self.waiting.keys()


def test_each_payment_has_one_reply_for_any_order_of_events(build):
    run_state_machine_as_test(
        type("RiskWithBuild", (RiskMachine,), {"build": build}),
        settings=settings(max_examples=300, stateful_step_count=30),
    )
