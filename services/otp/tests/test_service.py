"""The whole service in this process, on real Kafka and PostgreSQL."""

import asyncio
from collections import Counter
from datetime import timedelta
from uuid import uuid4

import pytest

from otp.app import build as build_service
from otp.domain import Limits
from otp.store import PostgresChallenges
from payment_schemas.events.otp import Challenged, CodesLockChanged, Verified
from service_runtime.clock import SystemClock
from service_runtime.messages import Batch
from service_runtime.sealing import Sealer
from testbed.service import callers, client_of, publish, published_events, running
from testkit.events import received
from testkit.operators import signed_in

pytestmark = pytest.mark.stack


@pytest.fixture
def here(settings, operator_trust):
    """Settings of a separate instance for this test."""
    own = {"instance": 900, "internal_credentials": callers(), **operator_trust}
    return settings.model_copy(update=own)


@pytest.mark.usefixtures("postgres")
async def test_a_code_is_issued_sealed_and_accepted_once_over_the_topics(build, here, stack):
    later = SystemClock().now() + timedelta(hours=1)
    request = build.requested(f"tx-{uuid4()}", expires_at=later)
    gateway = Sealer(here.otp_sealing_keys)
    async with running(build_service(here)) as process:
        await publish(stack.brokers, here, request)
        (challenge,) = await published_events(stack.brokers, Challenged, request.payment_id)
        notification = Sealer(here.notification_sealing_keys)
        code = notification.open(challenge.sealed_code, request.payment_id).reveal()
        sealed = [gateway.seal(one, request.payment_id).reveal() for one in ("000000", code, code)]
        tries = [build.tried("", challenge, sealed_code=one, expires_at=later) for one in sealed]
        await publish(stack.brokers, here, *tries)
        verified = await published_events(stack.brokers, Verified, request.payment_id, 3)
        async with client_of(process) as http:
            report = (await http.get("/admin/check")).json()
            user = await http.get(
                "/admin/codes", params={"user_id": "usr-1"}, headers=signed_in("ops.read")
            )
            refused = await http.get("/admin/check", headers={"Authorization": "Bearer guess"})
    assert code == "789012"
    assert [one.result for one in verified] == ["invalid", "valid", "expired"]
    assert report.pop("outbox_oldest_s") < 60
    assert report == {"violations": [], "unfinished": [], "parked": 0, "dead_letters": 0}
    assert (user.json()["wrong_in_a_row"], user.json()["locked_at"]) == (0, None)
    assert [one["state"] for one in user.json()["challenges"]] == ["ACCEPTED"]
    assert refused.status_code == 401


async def at_once(database, handler, events):
    """Handle each event in its own transaction, all concurrently."""

    async def one(event):
        async with database.transaction() as tx:
            batch = Batch([received(event, uuid4())], now())
            emit, *_ = await handler.handle(batch, handler.store(tx))
            return emit.event.result

    return Counter(await asyncio.gather(*(one(event) for event in events)))


def now():
    return SystemClock().now()


@pytest.fixture
async def live_challenge(postgres, build):
    """A live challenge, and the handler of verifications."""
    issue, verify = build.handlers(SystemClock(), PostgresChallenges)
    request = build.requested(expires_at=now() + timedelta(hours=1))
    async with postgres.transaction() as tx:
        batch = Batch([received(request, uuid4())], now())
        (emit,) = await issue.handle(batch, issue.store(tx))
    return emit.event, verify


async def test_fifty_right_codes_in_fifty_transactions_are_accepted_once(
    postgres, build, live_challenge
):
    challenge, verify = live_challenge
    later = now() + timedelta(hours=1)
    code = build.code_of(challenge)
    tries = [build.tried(code, challenge, expires_at=later) for _ in range(50)]
    assert await at_once(postgres, verify, tries) == {"valid": 1, "expired": 49}


async def test_fifty_wrong_codes_in_fifty_transactions_count_one_by_one(
    postgres, build, live_challenge
):
    challenge, verify = live_challenge
    later = now() + timedelta(hours=1)
    code = build.wrong_code_of(challenge)
    tries = [build.tried(code, challenge, expires_at=later) for _ in range(50)]
    assert await at_once(postgres, verify, tries) == {"invalid": 4, "locked": 46}


async def issue_at_once(database, handler, requests):
    """Handle each request in its own transaction, all concurrently."""

    async def one(request):
        async with database.transaction() as tx:
            batch = Batch([received(request, uuid4())], now())
            return [emit.event for emit in await handler.handle(batch, handler.store(tx))]

    found = await asyncio.gather(*(one(request) for request in requests))
    return [event for events in found for event in events]


async def test_twenty_payments_of_a_user_in_twenty_transactions_get_five_codes(postgres, build):
    issue, _ = build.handlers(SystemClock(), PostgresChallenges)
    later = now() + timedelta(hours=1)
    requests = [build.requested(f"tx-{number}", expires_at=later) for number in range(20)]
    events = await issue_at_once(postgres, issue, requests)
    assert Counter(type(e).__name__ for e in events) == {"Challenged": 5, "ChallengeRefused": 15}


async def test_wrong_codes_on_many_payments_at_once_lock_at_the_hundredth(postgres, build):
    unlimited = Limits(live=50, an_hour=50, a_day=50, wrong_in_a_row=20)
    issue, verify = build.handlers(SystemClock(), PostgresChallenges, limits=unlimited)
    later = now() + timedelta(hours=1)
    requests = [build.requested(f"tx-{number}", expires_at=later) for number in range(8)]
    challenges = await issue_at_once(postgres, issue, requests)
    wrong = [build.tried(build.wrong_code_of(one), one, expires_at=later) for one in challenges]
    events = await issue_at_once(postgres, verify, wrong * 4)
    events += await issue_at_once(
        postgres,
        verify,
        [
            build.tried(one_code, one, expires_at=later)
            for one in challenges
            for one_code in [build.wrong_code_of(one)] * 4
        ],
    )
    judged = [one for one in events if isinstance(one, Verified)]
    assert len({one.request_id for one in judged if not one.codes_locked}) == 20
    assert [one.wrong_codes for one in events if isinstance(one, CodesLockChanged)] == [20]


async def test_issuing_and_verifying_at_once_do_not_deadlock(postgres, build):
    issue, verify = build.handlers(SystemClock(), PostgresChallenges, limits=Limits(99, 99, 99))
    later = now() + timedelta(hours=1)
    users = [f"usr-{number}" for number in range(6)]

    def requests(name):
        return [build.requested(name, user_id=user, expires_at=later) for user in users]

    challenges = [
        event for one in requests("tx-0") for event in await issue_at_once(postgres, issue, [one])
    ]

    async def handle(handler, events):
        async with postgres.transaction() as tx:
            items = [received(event, uuid4()) for event in events]
            await handler.handle(Batch(items, now()), handler.store(tx))

    work = []
    for number in range(1, 6):
        tries = [build.tried("000000", one, expires_at=later) for one in challenges]
        work += [handle(issue, requests(f"tx-{number}")[::-1]), handle(verify, tries)]
        work += [handle(verify, tries[::-1]), handle(issue, requests(f"tx-b{number}"))]
    async with asyncio.timeout(20):
        await asyncio.gather(*work)


@pytest.mark.parametrize(
    "tampering",
    ["set amount_minor = 1", "set payee = 'mallory'", "set user_id = 'usr-2'"],
)
async def test_a_modified_row_accepts_no_code(postgres, as_owner, build, live_challenge, tampering):
    challenge, verify = live_challenge
    as_owner.execute("update challenge " + tampering)
    later = now() + timedelta(hours=1)
    right = build.tried(build.code_of(challenge), challenge, expires_at=later)
    assert await at_once(postgres, verify, [right]) == {"invalid": 1}
