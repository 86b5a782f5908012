"""The handlers in the runtime's consumer and worker, on memory twins."""

from datetime import timedelta
from functools import partial
from uuid import UUID, uuid4

import pytest

from payment_schemas.events.confirmation import PaymentConfirmed
from payment_schemas.events.risk import AssessmentRequested, RiskAssessed
from risk.clients import LookUps, MemoryIdentities, MemorySanctionsList
from risk.domain import Assessed, Expired, Waiting
from risk.handlers import (
    Assessor,
    on_assessment_requested,
    on_due_assessments,
    on_payment_confirmed,
)
from risk.store import MemoryAssessments
from service_runtime.consumer import Consumer, Handler
from service_runtime.positions import Positions
from service_runtime.relay import Relay
from service_runtime.unit_of_work import UnitOfWork
from service_runtime.work import Work, Worker
from testkit.events import outgoing_of
from testkit.memory import MemoryBroker, MemoryDatabase, MemorySource, MemoryWorkTable


class Risk:
    """The service on memory twins."""

    def __init__(self, build, clock):
        self.clock = clock
        self.database = MemoryDatabase(clock)
        self.broker = MemoryBroker(clock)
        self.sanctions, self.identities = MemorySanctionsList(), MemoryIdentities()
        look_ups = LookUps(self.sanctions, self.identities)
        assessor = Assessor(build.policy, float)
        unit = UnitOfWork(self.database, Relay(self.database, self.broker), "risk", clock)
        assess = partial(on_assessment_requested, assessor=assessor)
        handlers = [
            Handler(PaymentConfirmed, on_payment_confirmed, MemoryAssessments),
            Handler(AssessmentRequested, assess, MemoryAssessments, look_ups.for_requests),
        ]
        topics = [one.event.topic for one in handlers]
        self.source = MemorySource(self.broker, topics, Positions(self.database, "risk"))
        self.consumer = Consumer("risk", self.source, unit, handlers, clock)
        work = Work(
            table=MemoryWorkTable("assessment"),
            handle=partial(on_due_assessments, assessor=assessor),
            store=MemoryAssessments,
            gather=look_ups.for_due,
        )
        self.worker = Worker(work, self.database, unit, clock)

    async def read(self, *events, ids=()):
        """Handle events of one poll."""
        for number, event in enumerate(events):
            event_id = ids[number] if ids else uuid4()
            await self.broker.send(outgoing_of(event, event_id))
        await self.source.drain(self.consumer.run)

    async def work_after(self, **delta):
        """Let time pass, then work off the due requests."""
        self.clock.pass_time(**delta)
        return await self.worker.work_slice()

    @property
    def replies(self):
        topic = self.broker.topics[RiskAssessed.topic]
        return [RiskAssessed.model_validate_json(record.value) for record in topic]

    @property
    def scores(self):
        return [reply.score for reply in self.replies]

    def kept(self, request):
        return self.database.tables.own["assessed"][request.payment_id]


@pytest.fixture
def risk(build, clock):
    return Risk(build, clock)


async def test_the_reply_to_a_request_has_the_score_and_all_its_inputs(risk, build):
    risk.sanctions.listed.add("payee-1")
    risk.identities.known["usr-1"] = "pending"
    request = build.requested(amount_minor=520_000)
    await risk.read(request)
    (reply,) = risk.replies
    assert (reply.payment_id, reply.user_id, reply.transaction_id) == (
        request.payment_id,
        "usr-1",
        "tx-1",
    )
    assert (reply.score, reply.level, reply.amount_usd_minor) == (100, "critical", 520_000)
    assert (reply.sanctions, reply.kyc) == ("hit", "pending")
    assert {one.party: one.match_score for one in reply.screenings} == {
        "debtor": 0,
        "creditor": 100,
    }


async def test_a_payee_is_known_after_a_payment_succeeded(risk, build):
    await risk.read(build.confirmed())
    await risk.read(build.requested())
    assert risk.scores == [0]


async def test_a_request_makes_no_payee_known(risk, build):
    await risk.read(build.requested("tx-1"))
    await risk.read(build.requested("tx-2"))
    assert risk.scores == [40, 40]


async def test_two_requests_of_one_batch_see_the_same_history(risk, build):
    await risk.read(build.requested("tx-1"), build.requested("tx-2"))
    assert risk.scores == [40, 40]


async def test_a_success_that_arrives_with_a_request_counts_for_it(risk, build):
    await risk.read(build.requested(), build.confirmed())
    assert risk.scores == [0]


async def test_a_country_of_an_earlier_success_is_known(risk, build):
    await risk.read(build.confirmed(country="US"))
    await risk.read(build.requested("tx-1", country="US"), build.requested("tx-2", country="FR"))
    assert risk.scores == [0, 15]


async def test_more_than_five_successes_in_ten_minutes_are_velocity(risk, build):
    await risk.read(*(build.confirmed(f"tx-{number}") for number in range(5)))
    await risk.read(build.requested("five"))
    await risk.read(build.confirmed("tx-5"))
    await risk.read(build.requested("six"))
    risk.clock.pass_time(minutes=10)
    await risk.read(build.requested("later"))
    assert risk.scores == [0, 10, 0]


async def test_a_redelivered_success_counts_once(risk, build):
    payments = [build.confirmed(f"tx-{number}") for number in range(4)]
    await risk.read(*payments)
    await risk.read(*payments)
    await risk.read(build.requested())
    assert risk.scores == [0]


async def test_a_redelivered_request_has_one_reply(risk, build):
    request = build.requested()
    await risk.read(request, ids=[UUID(int=1)])
    await risk.read(request, ids=[UUID(int=1)])
    assert len(risk.replies) == 1


async def test_a_payment_has_one_assessment(risk, build):
    await risk.read(build.requested(), build.requested())
    await risk.read(build.requested())
    assert len(risk.replies) == 1


async def test_an_expired_request_is_dropped(risk, build):
    late = build.requested("late", expires_at=build.now)
    await risk.read(late, build.requested("punctual"))
    assert len(risk.replies) == 1
    assert late.payment_id not in risk.database.tables.own["assessment"]


async def test_a_batch_of_expired_requests_is_not_looked_up(risk, build):
    await risk.read(
        build.requested(expires_at=build.now), build.requested("b", expires_at=build.now)
    )
    assert risk.replies == []
    assert not any(risk.sanctions.queries)


@pytest.mark.parametrize("silent", ["acc-1", "payee-1", "usr-1"])
async def test_a_payment_whose_look_up_fails_waits_and_delays_no_other(risk, build, silent):
    risk.sanctions.silent.add(silent)
    risk.identities.silent.add(silent)
    waiting = build.requested("tx-1")
    other = build.requested("tx-2", user_id="usr-2", from_account="acc-2", to_account="payee-2")
    await risk.read(waiting, other)
    assert [reply.user_id for reply in risk.replies] == ["usr-2"]
    assert isinstance(risk.kept(waiting), Waiting)
    assert risk.database.tables.dead_letters == {}


async def test_a_failed_look_up_is_retried_with_increasing_waits_until_it_succeeds(risk, build):
    risk.sanctions.silent.add("payee-1")
    request = build.requested()
    await risk.read(request)
    assert await risk.work_after(milliseconds=999) == 0
    assert await risk.work_after(milliseconds=1) == 1
    assert await risk.work_after(milliseconds=1999) == 0
    risk.sanctions.silent.clear()
    assert await risk.work_after(milliseconds=1) == 1
    assert risk.scores == [40]
    assert isinstance(risk.kept(request), Assessed)
    assert await risk.work_after(hours=1) == 0


async def test_a_waiting_request_is_scored_on_the_history_of_that_time(risk, build):
    risk.identities.silent.add("usr-1")
    await risk.read(build.requested())
    risk.identities.silent.clear()
    await risk.read(build.confirmed())
    await risk.work_after(seconds=1)
    assert risk.scores == [0]


async def test_a_request_whose_look_ups_never_succeed_expires_and_is_kept(risk, build):
    risk.sanctions.silent.add("payee-1")
    request = build.requested(expires_at=build.now + timedelta(seconds=2))
    await risk.read(request)
    await risk.work_after(seconds=1)
    risk.sanctions.silent.clear()
    assert await risk.work_after(seconds=1) == 1
    assert isinstance(risk.kept(request), Expired)
    assert risk.replies == []
    assert await risk.work_after(hours=1) == 0


async def test_a_duplicate_of_a_waiting_request_does_not_restart_it(risk, build):
    risk.sanctions.silent.add("payee-1")
    await risk.read(build.requested())
    risk.sanctions.silent.clear()
    await risk.read(build.requested())
    assert risk.replies == []
    await risk.work_after(seconds=1)
    assert len(risk.replies) == 1


@pytest.mark.parametrize("has_evidence", [True, False])
async def test_only_the_request_without_a_rate_becomes_a_dead_letter(risk, build, has_evidence):
    if not has_evidence:
        risk.identities.silent.add("usr-1")
    unpriced = build.requested("tx-1", currency="XAF")
    await risk.read(unpriced, build.requested("tx-2", user_id="usr-2"))
    (letter,) = risk.database.tables.dead_letters.values()
    assert (letter.reason, letter.record.key) == ("rejected", str(unpriced.payment_id).encode())
    assert [reply.user_id for reply in risk.replies] == ["usr-2"]


async def test_the_replies_to_two_due_requests_have_different_ids(risk, build):
    risk.sanctions.silent.add("payee-1")
    await risk.read(build.requested("tx-1"))
    await risk.read(build.requested("tx-2"))
    risk.sanctions.silent.clear()
    await risk.work_after(seconds=1)
    ids = [dict(record.headers)["ce_id"] for record in risk.broker.topics[RiskAssessed.topic]]
    assert len(set(ids)) == 2
