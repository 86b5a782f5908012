"""The handler in the runtime's consumer on memory twins, and the admin routes over HTTP."""

from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from uuid import UUID, uuid4

import httpx
import orjson
import pytest

from audit.domain import AUDITED, Origin, RawEvent, entry_of
from audit.handlers import on_events, read_record
from audit.routes import routes
from audit.store import MemoryAuditLog, PostgresAuditLog
from payment_schemas.events.confirmation import PaymentDeclined
from payment_schemas.events.record import NotificationDelivered
from payment_schemas.events.risk import AssessmentRequested, RiskAssessed
from service_runtime.consumer import Consumer, Handler
from service_runtime.positions import Positions
from service_runtime.relay import Relay
from service_runtime.unit_of_work import UnitOfWork
from service_runtime.web import create_app
from testkit.events import NOON, PAYMENT, SEALED_CODE, event_of, outgoing_of
from testkit.memory import MemoryBroker, MemoryDatabase, MemorySource, SteadyClock
from testkit.operators import operators, signed_in

READS = ("timeline", "events", "timelines", "check")


class Audit:
    """The service on memory twins."""

    def __init__(self):
        self.clock = SteadyClock(NOON)
        self.database = MemoryDatabase(self.clock)
        self.broker = MemoryBroker(self.clock)
        first, *others = AUDITED
        handlers = [Handler(first, on_events, MemoryAuditLog, also=others, read=read_record)]
        unit = UnitOfWork(self.database, Relay(self.database, self.broker), "audit", self.clock)
        topics = [event.topic for event in AUDITED]
        self.source = MemorySource(self.broker, topics, Positions(self.database, "audit"))
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


def http(tx=None, headers=None):
    clock = SteadyClock(NOON + timedelta(minutes=5))
    app = create_app("audit", {}, clock)
    app.include_router(routes(OneTransaction(tx), clock, operators()))
    return httpx.AsyncClient(
        transport=httpx.ASGITransport(app),
        base_url="http://audit",
        headers=headers or signed_in("ops.read"),
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


async def test_an_event_that_comes_again_is_logged_once(audit):
    await audit.publish(event_of(AssessmentRequested), UUID(int=1))
    await audit.read_all()
    await audit.publish(event_of(AssessmentRequested), UUID(int=1))

    await audit.read_all()

    assert len(audit.entries()) == 1


async def test_all_events_of_a_poll_are_one_transaction(audit):
    for event in AUDITED:
        await audit.publish(event_of(event))
    await audit.source.place()
    began = []
    by_rule = audit.database.transaction

    def transaction():
        began.append(1)
        return by_rule()

    audit.database.transaction = transaction
    await audit.read_all()

    assert (len(began), len(audit.entries())) == (1, len(AUDITED))


async def test_records_written_beforehand_under_another_topic_remove_no_row(audit):
    """Eight records with the ids of a payment's events, before these."""
    mine = [event_of(event) for event in AUDITED if event is not NotificationDelivered][:8]
    for number in range(len(mine)):
        await audit.publish(event_of(NotificationDelivered), UUID(int=number))
    await audit.read_all()
    for number, event in enumerate(mine):
        await audit.publish(event, UUID(int=number))

    await audit.read_all()

    topics = {one.entry.origin.topic for one in audit.entries()}
    assert topics == {event.topic for event in mine} | {NotificationDelivered.topic}
    assert len(audit.entries()) == 16


GARBAGE = {
    "bytes": b"\x00\xff\xfe",
    "no object": b"[1]",
    "no JSON": b'{"payment_id": ',
    "another payment": event_of(RiskAssessed, payment_id=UUID(int=7)).model_dump_json().encode(),
    "without a payment": b'{"score": 1}',
    "a NUL character": orjson.dumps(
        event_of(RiskAssessed).model_dump(mode="json") | {"level": "\x00"}
    ),
    "too large": event_of(RiskAssessed).model_dump_json().encode() + b" " * 70_000,
    "nothing": None,
}  # fmt: skip


@pytest.mark.parametrize("garbage", GARBAGE)
async def test_a_value_that_no_reader_could_decode_is_a_dead_letter(audit, garbage):
    good = outgoing_of(event_of(RiskAssessed), uuid4())
    await audit.broker.send(replace(good, value=GARBAGE[garbage]))
    await audit.broker.send(good)

    await audit.read_all()

    assert len(audit.entries()) == 1
    assert len(audit.database.tables.dead_letters) == 1


@pytest.mark.parametrize("event", AUDITED)
async def test_nothing_of_a_sealed_or_unknown_field_is_stored(audit, event):
    """The list of events that are stored as bytes follows from the schemas."""
    await audit.publish(event_of(event))
    good = outgoing_of(event_of(event), uuid4())
    grown = orjson.dumps(orjson.loads(good.value) | {"sealed_later": SEALED_CODE})
    await audit.broker.send(replace(good, value=grown))

    await audit.read_all()

    stored = [*audit.database.tables.own["audit_raw"].values(), repr(audit.entries()).encode()]
    assert len(audit.entries()) == 2
    assert not any(SEALED_CODE.encode() in one for one in stored)


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
async def test_the_events_of_a_payment_have_the_fields_of_their_records(audit_tx):
    assessed = event_of(RiskAssessed)
    raw = RawEvent(RiskAssessed, PAYMENT, assessed.model_dump_json().encode())
    origin = Origin(uuid4(), NOON, RiskAssessed.topic, 3, 17)
    await PostgresAuditLog(audit_tx).append_raw([(raw, origin)])
    await append(audit_tx, event_of(PaymentDeclined))

    async with http(audit_tx) as client:
        response = await client.get("/admin/events", params={"payment_id": str(PAYMENT)})
        other = await client.get("/admin/events", params={"payment_id": str(UUID(int=5))})

    first, second = response.json()["events"]
    assert (first["fields"], first["is_raw"]) == (orjson.loads(assessed.model_dump_json()), True)
    assert (first["topic"], first["partition"], first["offset"]) == (origin.topic, 3, 17)
    assert (second["topic"], second["is_raw"]) == ("payment.declined.v1", False)
    assert second["fields"]["reason"] == "not_permitted"
    assert other.json() == {"events": []}


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


@pytest.mark.parametrize(
    "path", ["/admin/timeline", "/admin/events", "/admin/timelines", "/admin/check"]
)
async def test_a_caller_without_the_scope_is_refused(path):
    async with http(headers={"Authorization": "Bearer wrong"}) as client:
        response = await client.get(path, params={"payment_id": str(PAYMENT)})

    assert response.status_code == 401


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("timeline?payment_id=nonsense", "payment_id"),
        ("timeline", "payment_id"),
        ("events?payment_id=nonsense", "payment_id"),
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
