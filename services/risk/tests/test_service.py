"""The whole service in this process, on real Kafka and PostgreSQL, and its admin route."""

import asyncio
import hashlib
import json
from contextlib import AsyncExitStack, asynccontextmanager
from uuid import uuid4

import httpx
import pytest
from aiokafka import AIOKafkaConsumer

from payment_schemas.events.risk import RiskAssessed
from risk.app import build as build_service
from service_runtime.clock import SystemClock
from service_runtime.kafka import KafkaProducer
from testkit.events import outgoing_of

pytestmark = pytest.mark.stack
SECRET = "ops secret"


@asynccontextmanager
async def running(process):
    """Run a process's resources and loops as the runtime does, without its port."""
    stopping = asyncio.Event()
    async with AsyncExitStack() as stack:
        for resource in process.resources:
            await stack.enter_async_context(resource)
        loops = [asyncio.create_task(loop(stopping)) for loop in process.loops]
        try:
            yield process
        finally:
            stopping.set()
            await asyncio.wait_for(asyncio.gather(*loops), 10)


@pytest.fixture
def here(settings, outside, tmp_path):
    """Settings of an instance of this test's own, with the outside that the test decides."""
    digest = hashlib.sha256(SECRET.encode()).hexdigest()
    callers = {"ops": {"sha256": digest, "scopes": ["ops.read"]}}
    changes = {
        "instance": 900,
        "ofac_url": outside.url,
        "kyc_url": outside.url,
        "internal_credentials": json.dumps(callers),
    }
    return settings.model_copy(update=changes)


def answer(body):
    """Answer both look-ups: everyone is verified, nobody listed."""
    if "user_ids" in body:
        return {"results": [{"user_id": user, "status": "verified"} for user in body["user_ids"]]}
    results = [{"id": one["id"], "hit": False, "match_score": 0} for one in body["parties"]]
    return {"list_version": "v7", "results": results}


async def publish(settings, *events):
    async with KafkaProducer(settings.kafka_bootstrap_servers, "risk-test") as producer:
        for event in events:
            await (await producer.send(outgoing_of(event, uuid4(), SystemClock().now())))


async def next_answer(settings, payment_id):
    servers = settings.kafka_bootstrap_servers
    async with AIOKafkaConsumer(
        RiskAssessed.topic, bootstrap_servers=servers, auto_offset_reset="earliest"
    ) as consumer:
        record = await asyncio.wait_for(consumer.getone(), 30)
        while record.key != str(payment_id).encode():
            record = await asyncio.wait_for(consumer.getone(), 30)
    return RiskAssessed.model_validate_json(record.value)


def client(process):
    return httpx.AsyncClient(
        transport=httpx.ASGITransport(process.app),
        base_url="http://risk",
        headers={"Authorization": f"Bearer {SECRET}"},
    )


def now_fields():
    now = SystemClock().now()
    return {"requested_at": now, "expires_at": now.replace(year=now.year + 1)}


@pytest.mark.usefixtures("postgres")
async def test_a_request_on_the_topic_is_answered_on_the_topic(build, here, outside):
    outside.answer = answer
    request = build.requested(f"tx-{uuid4()}", amount_minor=520_000, **now_fields())
    async with running(build_service(here)):
        await publish(here, request)
        found = await next_answer(here, request.payment_id)
    assert (found.score, found.level, found.sanctions) == (85, "high", "clear")


@pytest.mark.usefixtures("postgres")
async def test_a_look_up_that_was_down_is_made_up_for(build, here, outside):
    outside.answer = answer
    outside.status = lambda body: 503 if len(outside.asked) <= 2 else 200
    request = build.requested(f"tx-{uuid4()}", **now_fields())
    async with running(build_service(here)) as process:
        await publish(here, request)
        found = await next_answer(here, request.payment_id)
        async with client(process) as http:
            report = (await http.get("/admin/check")).json()
    assert found.score == 40
    assert report == {"violations": [], "unfinished": [], "parked": 0, "dead_letters": 0}


@pytest.mark.usefixtures("postgres")
async def test_operators_alone_may_check(here):
    async with running(build_service(here)) as process, client(process) as http:
        refused = await http.get("/admin/check", headers={"Authorization": "Bearer guess"})
        assert refused.status_code == 401
        assert (await http.get("/admin/check")).status_code == 200
