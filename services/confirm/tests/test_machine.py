"""Payments and idempotency as a state machine: inputs in any order keep the rules.

The model uses only the replies and the balances; the handlers run on the memory twin.
"""

import json
from collections import Counter, defaultdict
from datetime import timedelta
from itertools import count
from uuid import UUID

import pytest
from confirm_builders import POLICY
from confirm_world import MemoryWorld
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from confirm import handlers
from confirm.domain.payment import FINAL, LEGAL, Status
from confirm.store import UNFINISHED
from payment_schemas.events.confirmation import ConfirmAnswered, ConfirmRequested
from payment_schemas.events.otp import (
    Challenged,
    ChallengeRefused,
    ChallengeRequested,
    Verified,
)
from payment_schemas.events.risk import RiskAssessed
from payment_schemas.events.settlement import SettlementUpdated
from payment_schemas.ids import RequestId, payment_id_of
from service_runtime.errors import Rejected
from service_runtime.messages import Batch
from testkit.events import NOON, event_of
from testkit.memory import MemoryDatabase, MemoryWorkTable, SteadyClock

USER = "usr-456"
FUNDS_MINOR = 1_000_00
TRANSACTIONS = ["tx-1", "tx-2", "tx-3"]
KEYS = ["key-1", "key-2", "key-3"]
AMOUNTS = ["100.00", "600.00"]


def finished(work):
    """Run a coroutine of the memory twins, which never waits; return its result."""
    try:
        work.send(None)
    except StopIteration as end:
        return end.value
    raise AssertionError("a memory twin waited")


class Payments(RuleBasedStateMachine):
    """Three transactions, three keys, two amounts, results in any order, passing time."""

    @initialize()
    def start(self):
        self.clock = SteadyClock(NOON)
        self.world = MemoryWorld(self.clock, MemoryDatabase(self.clock))
        finished(self.world.open_account("acc-1", USER, FUNDS_MINOR))
        self.numbers = count(1)
        self.key_of = {}
        self.final = defaultdict(set)
        self.before = {}
        self.challenges = {}

    def take(self, *events):
        """Handle events in one transaction; record the replies and the requests to otp."""
        for event in finished(self.world.take(*events)):
            if isinstance(event, ConfirmAnswered):
                self.record_final(event)
            if isinstance(event, ChallengeRequested):
                self.challenges[event.payment_id] = event

    def record_final(self, answer):
        status = json.loads(answer.body).get("status")
        if answer.status in (200, 403) and status in ("SUCCESS", "DECLINED"):
            self.final[self.key_of[answer.request_id]].add((answer.status, answer.body))

    def request(self, transaction, key, amount, code, left_s):
        request_id = RequestId(UUID(int=next(self.numbers)))
        self.key_of[request_id] = key
        return event_of(
            ConfirmRequested,
            request_id=request_id,
            user_id=USER,
            transaction_id=transaction,
            idempotency_key=key,
            amount=amount,
            from_account="acc-1",
            sealed_code="0a1b2c3d.c2VhbGVk" if code else None,
            code_tag=code,
            expires_at=None if left_s is None else self.clock.now() + timedelta(seconds=left_s),
        )

    requests = st.tuples(
        st.sampled_from(TRANSACTIONS),
        st.sampled_from(KEYS),
        st.sampled_from(AMOUNTS),
        st.sampled_from([None, None, "tag-1", "tag-2"]),
        st.sampled_from([None, 900, 20, 0]),
    )

    @rule(batch=st.lists(requests, min_size=1, max_size=4))
    def send(self, batch):
        self.take(*[self.request(*fields) for fields in batch])

    @rule(transaction=st.sampled_from(TRANSACTIONS), score=st.sampled_from([0, 69, 70, 95]))
    def score(self, transaction, score):
        self.result(RiskAssessed, transaction, score=score)

    @rule(transaction=st.sampled_from(TRANSACTIONS))
    def refuse(self, transaction):
        self.result(RiskAssessed, transaction, sanctions="hit")

    @rule(transaction=st.sampled_from(TRANSACTIONS), number=st.integers(1, 3))
    def challenge(self, transaction, number):
        ends_at = self.clock.now() + timedelta(seconds=300)
        issued = {"challenge_number": number, "code_expires_at": ends_at}
        self.result(Challenged, transaction, **issued)

    @rule(
        transaction=st.sampled_from(TRANSACTIONS),
        reason=st.sampled_from(["too_many", "locked", "undeliverable"]),
        is_late=st.booleans(),
    )
    def refuse_a_challenge(self, transaction, reason, is_late):
        request = self.challenges.get(payment_id_of(USER, transaction))
        version = request.version if request and not is_late else 1
        number = request.challenge_number if request else 1
        refusal = {"reason": reason, "version": version, "challenge_number": number}
        self.result(ChallengeRefused, transaction, **refusal)

    @rule(
        transaction=st.sampled_from(TRANSACTIONS),
        result=st.sampled_from(["valid", "valid", "invalid", "locked", "codes locked"]),
        is_late=st.booleans(),
    )
    def judge(self, transaction, result, is_late):
        payment = self.stored().get(payment_id_of(USER, transaction))
        waits = payment is not None and payment.status is Status.VERIFYING and not is_late
        request_id = payment.request_id if waits else RequestId(UUID(int=0))
        judged = {"request_id": request_id, "result": result, "challenge_over": result != "invalid"}
        if result == "codes locked":
            judged |= {"result": "locked", "challenge_over": False, "codes_locked": True}
        self.result(Verified, transaction, **judged)

    @rule(
        transaction=st.sampled_from(TRANSACTIONS),
        status=st.sampled_from(["SENT", "UNKNOWN", "SETTLED", "REJECTED"]),
        version=st.integers(2, 6),
    )
    def settle(self, transaction, status, version):
        self.result(SettlementUpdated, transaction, status=status, version=version)

    @rule(seconds=st.sampled_from([1, 31, 301, 901]), is_swept=st.booleans())
    def let_time_pass(self, seconds, is_swept):
        self.clock.pass_time(seconds=seconds)
        if is_swept:
            finished(self.sweep())

    async def sweep(self):
        """Apply deadlines as the deadline worker does."""
        async with self.world.database.transaction() as tx:
            due = await MemoryWorkTable(UNFINISHED).claim(tx, 100, 10.0)
            batch = Batch(due, self.clock.now())
            for emit in await handlers.on_due_payments(batch, self.world.store(tx)):
                if isinstance(emit.event, ConfirmAnswered):
                    self.record_final(emit.event)

    def result(self, kind, transaction, **fields):
        """Handle a result; for an unknown payment it must be rejected."""
        name = payment_id_of(USER, transaction)
        about = {"payment_id": name, "user_id": USER, "transaction_id": transaction}
        event = event_of(kind, **about, **fields)
        if name in self.stored():
            self.take(event)
        else:
            with pytest.raises(Rejected):
                self.take(event)

    def stored(self):
        return self.world.own["payment"]

    @invariant()
    def a_key_has_one_payment_and_one_final_answer(self):
        if not hasattr(self, "world"):
            return
        keys = Counter(payment.idempotency_key for payment in self.stored().values())
        assert set(keys.values()) <= {1}
        assert all(len(responses) == 1 for responses in self.final.values())

    @invariant()
    def every_step_is_legal(self):
        if not hasattr(self, "world"):
            return
        for name, payment in self.stored().items():
            before = self.before.get(name, payment)
            assert before.status is payment.status or before.status not in FINAL
            if payment.version == before.version + 1:
                assert (before.status, payment.status) in LEGAL
            if before.is_overdue(self.clock.now()) and payment is not before:
                assert (payment.status, payment.reason) == (Status.DECLINED, "timed_out")
            assert payment.version >= before.version
            assert payment.settlement_version >= before.settlement_version
            assert payment.challenge_number <= POLICY.challenges
            if payment.status is Status.AWAITING_CODE:
                assert (payment.challenge_id is None) == (payment.challenge_number == 0)
            if payment.status is Status.VERIFYING:
                assert payment.challenge_id is not None
        self.before = dict(self.stored())

    @invariant()
    def balances_agree_with_the_payments(self):
        if not hasattr(self, "world"):
            return
        held = settled = 0
        for payment in self.stored().values():
            if payment.status is Status.CONFIRMED:
                assert payment.risk_score is not None
                settled += payment.amount_minor * (payment.settlement_status == "SETTLED")
                ended = payment.settlement_status in ("SETTLED", "REJECTED")
                held += payment.amount_minor * (not ended)
        balances = finished(self.world.balances())
        cleared = sum(minor for name, minor in balances.items() if name.startswith("clearing:"))
        assert balances["acc-1"] == FUNDS_MINOR - held - settled >= 0
        assert (balances.get("in-flight:USD", 0), cleared) == (held, settled)
        assert sum(balances.values()) == 0


def test_a_payment_keeps_its_promises_for_inputs_in_any_order():
    run_state_machine_as_test(Payments, settings=settings(max_examples=500, stateful_step_count=50))
