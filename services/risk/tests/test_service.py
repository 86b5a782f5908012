"""The service in this process, on real Kafka and PostgreSQL, and its admin route."""

from uuid import uuid4

import pytest

from payment_schemas.events.risk import RiskAssessed
from risk.app import build as build_service
from service_runtime.clock import SystemClock
from testbed.service import callers, client_of, publish, published_events, running

pytestmark = pytest.mark.stack


@pytest.fixture
def here(settings, remote, operator_trust):
    """Settings of a separate instance, with the test's remote service."""
    changes = {
        "instance": 900,
        "ofac_url": remote.url,
        "kyc_url": remote.url,
        "internal_credentials": callers(),
        **operator_trust,
    }
    return settings.model_copy(update=changes)


def respond(body):
    """Respond to both look-ups: all users are verified, no account is listed."""
    if "user_ids" in body:
        return {"results": [{"user_id": user, "status": "verified"} for user in body["user_ids"]]}
    results = [{"id": one["id"], "hit": False, "match_score": 0} for one in body["parties"]]
    return {"list_version": "v7", "results": results}


def now_fields():
    now = SystemClock().now()
    return {"requested_at": now, "expires_at": now.replace(year=now.year + 1)}


@pytest.mark.usefixtures("postgres")
async def test_a_request_on_kafka_has_a_reply_on_kafka(build, here, remote, stack):
    remote.response = respond
    request = build.requested(f"tx-{uuid4()}", amount_minor=520_000, **now_fields())
    async with running(build_service(here)):
        await publish(stack.brokers, here, request)
        (found,) = await published_events(stack.brokers, RiskAssessed, request.payment_id)
    assert (found.score, found.level, found.sanctions) == (85, "high", "clear")


@pytest.mark.usefixtures("postgres")
async def test_a_failed_look_up_is_retried(build, here, remote, stack):
    remote.response = respond
    remote.status = lambda body: 503 if len(remote.requests) <= 2 else 200
    request = build.requested(f"tx-{uuid4()}", **now_fields())
    async with running(build_service(here)) as process:
        await publish(stack.brokers, here, request)
        (found,) = await published_events(stack.brokers, RiskAssessed, request.payment_id)
        async with client_of(process) as http:
            report = (await http.get("/admin/check")).json()
    assert found.score == 40
    assert report.pop("outbox_oldest_s") < 60
    assert report == {"violations": [], "unfinished": [], "parked": 0, "dead_letters": 0}


@pytest.mark.usefixtures("postgres")
async def test_only_operators_can_read_the_check(here):
    async with running(build_service(here)) as process, client_of(process) as http:
        refused = await http.get("/admin/check", headers={"Authorization": "Bearer guess"})
        assert refused.status_code == 401
        assert (await http.get("/admin/check")).status_code == 200
