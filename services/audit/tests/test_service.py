"""The handler in the runtime's consumer on memory twins, and the admin routes over HTTP."""

import hashlib
import json
from contextlib import asynccontextmanager
from datetime import timedelta
from uuid import UUID, uuid4

import httpx
import pytest

from audit.domain import AUDITED, Origin, entry_of
from audit.handlers import on_event
from audit.routes import routes
from audit.store import MemoryAuditLog, PostgresAuditLog
from payment_schemas.events.confirmation import PaymentDeclined
from payment_schemas.events.risk import AssessmentRequested
from service_runtime.consumer import Consumer, Handler
from service_runtime.relay import Relay
from service_runtime.unit_of_work import UnitOfWork
from service_runtime.web import Credentials, create_app
from testkit.events import NOON, PAYMENT, event_of, outgoing_of
from testkit.memory import MemoryBroker, MemoryDatabase, MemorySource, SteadyClock

SECRET = "ops secret"
CREDENTIALS = Credentials(
    json.dumps(
        {"ops": {"sha256": hashlib.sha256(SECRET.encode()).hexdigest(), "scopes": ["ops.read"]}}
    )
)


class Audit:
    """The service on memory twins."""

    def __init__(self):
        self.clock = SteadyClock(NOON)
        self.database = MemoryDatabase(self.clock)
        self.broker = MemoryBroker(self.clock)
        handlers = [Handler(event, on_event, MemoryAuditLog) for event in AUDITED]
        unit = UnitOfWork(self.database, Relay(self.database, self.broker), "audit", self.clock)
        topics = [event.topic for event in AUDITED]
        self.source = MemorySource(self.broker, topics)
        self.consumer = Consumer("audit", self.source, unit, handlers, self.clock)

    async def publish(self, event, event_id=None):
        await self.broker.send(outgoing_of(event, event_id or uuid4()))

    async def read_all(self):
        """Consume until nothing is left."""
        await self.source.drain(self.consumer.run)

    def entries(self):
        return list(self.database.tables.own["audit_log"].values())


class OneTransaction:
    """A database whose only transaction belongs to the test."""

    def __init__(self, tx):
        self._tx = tx

    @asynccontextmanager
    async def transaction(self):
        yield self._tx


def http(tx=None, secret=SECRET):
    clock = SteadyClock(NOON + timedelta(minutes=5))
    app = create_app("audit", {}, clock)
    app.include_router(routes(OneTransaction(tx), clock, CREDENTIALS))
    return httpx.AsyncClient(
        transport=httpx.ASGITransport(app),
        base_url="http://audit",
        headers={"Authorization": f"Bearer {secret}"},
    )


async def append(tx, *events):
    origins = [Origin(uuid4(), NOON, event.topic, 0, 0) for event in events]
    await PostgresAuditLog(tx).append(list(map(entry_of, events, origins)))


@pytest.fixture
def audit():
    return Audit()


async def test_an_event_of_each_topic_is_logged_once(audit):
    for number, event in enumerate(AUDITED):
        await audit.publish(event_of(event), UUID(int=number))
        await audit.publish(event_of(event), UUID(int=number))

    await audit.read_all()

    assert len(audit.entries()) == len(AUDITED)
    assert {one.entry.origin.topic for one in audit.entries()} == {one.topic for one in AUDITED}


async def test_an_entry_has_the_id_offset_and_time_of_its_event(audit):
    await audit.publish(event_of(AssessmentRequested), UUID(int=1))
    await audit.publish(event_of(AssessmentRequested), UUID(int=2))

    await audit.read_all()

    origins = [stored.entry.origin for stored in audit.entries()]
    assert [(one.event_id, one.offset, one.time) for one in origins] == [
        (UUID(int=1), 0, NOON),
        (UUID(int=2), 1, NOON),
    ]


async def test_without_an_inbox_an_event_is_logged_once(audit):
    await audit.publish(event_of(AssessmentRequested), UUID(int=1))
    await audit.read_all()
    audit.database.tables.inbox.clear()
    await audit.publish(event_of(AssessmentRequested), UUID(int=1))

    await audit.read_all()

    assert len(audit.entries()) == 1


async def test_audit_emits_nothing(audit):
    await audit.publish(event_of(AssessmentRequested))

    await audit.read_all()

    assert not audit.database.tables.outbox


@pytest.mark.stack
async def test_a_payments_timeline_is_ordered_by_time(audit_tx):
    await append(audit_tx, event_of(AssessmentRequested), event_of(PaymentDeclined))

    async with http(audit_tx) as client:
        response = await client.get("/admin/timeline", params={"payment_id": str(PAYMENT)})

    rows = response.json()["rows"]
    assert [row["event"] for row in rows] == ["PAYMENT_REQUESTED", "PAYMENT_DECLINED"]
    assert rows[1]["metadata"]["reason"] == "not_permitted"
    assert rows[1]["topic"] == "payment.declined.v1"


@pytest.mark.stack
async def test_timelines_are_returned_in_pages(audit_tx):
    payments = [UUID(int=number) for number in (1, 2, 3)]
    await append(audit_tx, *[event_of(AssessmentRequested, payment_id=one) for one in payments])

    async with http(audit_tx) as client:
        response = await client.get(
            "/admin/timelines", params={"after": str(payments[0]), "limit": 1}
        )

    assert response.json() == {
        "timelines": [
            {"payment_id": str(payments[1]), "events": ["PAYMENT_REQUESTED"], "versions": [1]}
        ],
        "next": str(payments[1]),
    }


@pytest.mark.stack
async def test_the_check_names_violations_and_unfinished_payments(audit_tx):
    await append(
        audit_tx,
        event_of(AssessmentRequested, version=1),
        event_of(PaymentDeclined, version=1),
        event_of(AssessmentRequested, payment_id=UUID(int=9)),
    )

    async with http(audit_tx) as client:
        response = await client.get("/admin/check")

    assert response.json() == {
        "violations": [
            {
                "invariant": "I9",
                "payment_id": str(PAYMENT),
                "details": "version 1 has more than one row",
            }
        ],
        "unfinished": [{"payment_id": str(UUID(int=9)), "age_s": 300}],
        "parked": 0,
        "dead_letters": 0,
    }


@pytest.mark.parametrize("path", ["/admin/timeline", "/admin/timelines", "/admin/check"])
async def test_a_caller_without_the_scope_is_refused(path):
    async with http(secret="wrong") as client:
        response = await client.get(path, params={"payment_id": str(PAYMENT)})

    assert response.status_code == 401


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("timeline?payment_id=nonsense", "payment_id"),
        ("timeline", "payment_id"),
        ("timelines?limit=501", "limit"),
        ("timelines?after=1", "after"),
        ("check?hours=0", "hours"),
        ("check?since=2026-01-01", "since"),
    ],
)
async def test_an_invalid_parameter_is_named(query, field):
    async with http() as client:
        response = await client.get(f"/admin/{query}")

    assert (response.status_code, response.json()["error"]) == (400, f"Invalid field: {field}")
