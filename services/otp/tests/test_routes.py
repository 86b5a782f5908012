"""The operators' routes of a user's codes."""

from datetime import timedelta

import pytest
from httpx import ASGITransport, AsyncClient

from otp.domain import Lock, User
from otp.handlers import Unlocking
from otp.routes import user_routes
from otp.store import PostgresChallenges
from payment_schemas.ids import UserId
from service_runtime.clock import SystemClock
from service_runtime.relay import Relay
from service_runtime.unit_of_work import UnitOfWork
from service_runtime.web import create_app
from testkit.memory import MemoryBroker
from testkit.operators import operators, signed_in

pytestmark = pytest.mark.stack
READ, WRITE = signed_in("ops.read"), signed_in("ops.write")


@pytest.fixture
async def locked(postgres, build):
    """A user whose codes are locked on a payment with a live challenge."""
    now = SystemClock().now()
    challenge = build.challenge(issued_at=now, expires_at=now + timedelta(seconds=300))
    lock = Lock(now, challenge.payment.payment_id, "tx-1")
    async with postgres.transaction() as tx:
        store = PostgresChallenges(tx)
        await store.lock_users({"usr-1"})
        await store.add([challenge])
        await store.save_users([User("usr-1", 100, lock)])
    return challenge


@pytest.fixture
async def http(postgres):
    clock = SystemClock()
    broker = MemoryBroker(clock)
    unit = UnitOfWork(postgres, Relay(postgres, broker), "otp", clock)
    unlocking = Unlocking(PostgresChallenges, unit.run_in_transaction, clock)
    app = create_app("otp", {}, clock)
    app.include_router(user_routes(postgres, operators(), clock, unlocking))
    async with AsyncClient(transport=ASGITransport(app), base_url="http://test") as client:
        client.broker = broker
        yield client


async def test_an_unlock_works_once_and_publishes_its_events(http, locked):
    order = {"user_id": UserId("usr-1")}
    found = await http.post("/admin/codes/unlock", json=order, headers=WRITE)
    assert (found.status_code, found.json()) == (200, {"user_id": "usr-1", "wrong_in_a_row": 100})
    assert len(http.broker.topics["audit.recorded.v1"]) == 1
    assert len(http.broker.topics["otp.codes-lock-changed.v1"]) == 1
    again = await http.post("/admin/codes/unlock", json=order, headers=WRITE)
    assert (again.status_code, again.json()["error"]) == (409, "Not unlocked")
    assert len(http.broker.topics["audit.recorded.v1"]) == 1
    unknown = await http.post("/admin/codes/unlock", json=order | {"user_id": "x"}, headers=WRITE)
    assert unknown.status_code == 409


async def test_an_operator_sees_the_lock_and_challenges_of_a_user(http, locked):
    found = (await http.get("/admin/codes?user_id=usr-1", headers=READ)).json()
    assert (found["wrong_in_a_row"], found["locked_on"]) == (100, str(locked.payment.payment_id))
    assert [(one["number"], one["state"]) for one in found["challenges"]] == [(1, "LIVE")]
    unknown = (await http.get("/admin/codes?user_id=nobody", headers=READ)).json()
    assert (unknown["wrong_in_a_row"], unknown["locked_at"]) == (0, None)


async def test_an_unlock_needs_the_write_scope(http, locked):
    order = {"user_id": "usr-1"}
    refused = await http.post("/admin/codes/unlock", json=order, headers=READ)
    assert refused.status_code == 403
    assert (await http.get("/admin/codes?user_id=usr-1")).status_code == 401
