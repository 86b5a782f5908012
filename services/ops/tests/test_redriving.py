"""Dead letters: redriven unchanged, each once, and twice on real Kafka; discarded by two."""

import asyncio
import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from uuid import uuid4

import psycopg
import pytest
from aiokafka import AIOKafkaConsumer

from ops.app import build
from ops.clients.dead_letters import letter_of
from ops.clients.redriving import each_once, original_of
from ops.settings import Settings
from payment_schemas.cloudevents import Attributes, headers_of
from payment_schemas.registry import BY_TYPE
from service_runtime.dead_letters import outgoing_of
from service_runtime.messages import ProducerRecord, Record
from service_runtime.ports import DeadLetter
from service_runtime.settings import ServiceSettings
from service_runtime.tracing import REDRIVEN
from testbed.database import fresh_database
from testbed.probe_process import Probe, make_topics
from testbed.service import client_of, kafka_fields, running, settings_of
from testkit.events import NOON
from testkit.operators import actor, approval_of, signed_in

ROOT = Path(__file__).parents[3]
COMMAND = Path(sys.executable).parent / "countersign"
MESSAGES = 1000
HEADERS = (("ce_id", b"e-1"), ("traceparent", b"00-1"), ("odd", None), (REDRIVEN, b"once before"))


def dead_letter(consumer="settlement", *, offset=7, value=b"{}", headers=HEADERS):
    """A dead letter that the runtime wrote, as ops reads it."""
    record = Record("settlement-queue", 0, offset, 0, b"key", value, headers)
    letter = DeadLetter(record, "schema", "MalformedRecordError", 1, NOON)
    made = outgoing_of(letter, consumer)
    lying = {"partition": 2, "offset": offset, "timestamp": 0}
    return letter_of(SimpleNamespace(**lying, topic=made.topic, key=made.key, value=made.value,
                                     headers=made.headers))  # fmt: skip


def test_a_redriven_record_is_unchanged_except_for_the_time_header():
    again = original_of(dead_letter(), "2026-03-02T12:00:00+00:00")
    assert (again.topic, again.key, again.value) == ("settlement-queue", b"key", b"{}")
    assert again.partition is None
    assert again.headers == (*HEADERS[:3], (REDRIVEN, b"2026-03-02T12:00:00+00:00"))


def test_a_record_that_two_consumers_refused_is_redriven_once():
    first, second = dead_letter("settlement"), dead_letter("audit")
    assert each_once([first, second]) == [first]


def test_different_records_with_one_id_are_each_redriven():
    letters = [dead_letter(value=b"{}"), dead_letter(value=b"[]", offset=8)]
    assert each_once(letters) == letters


def test_records_without_an_id_are_distinguished_by_their_position():
    letters = [dead_letter(headers=(), offset=7), dead_letter(headers=(), offset=8)]
    assert each_once(letters) == letters


@pytest.fixture
def database(infrastructure):
    with fresh_database(infrastructure, "probe", [ROOT / "libs/runtime/tests/sql"]) as database:
        yield database


@pytest.fixture
async def probe(infrastructure, database, tmp_path):
    name = f"probe.{uuid4().hex}.v1"
    await make_topics(infrastructure.brokers, name, f"{name}-dlq", f"{name}.tallied")
    password = tmp_path / "password"
    password.write_text("probe")
    settings = ServiceSettings(
        port=1,
        **kafka_fields(infrastructure),
        database_url=database.dsn,
        DATABASE_PASSWORD_FILE=str(password),
    )
    found = Probe(infrastructure, settings, name)
    found.password_file = str(password)
    yield found
    found.end()
    BY_TYPE.pop(name, None)


def numbered(probe, number):
    event = probe.event(lane=f"lane-{number % 5}", number=number)
    attributes = Attributes(uuid4(), datetime.now(UTC))
    headers = headers_of(event, attributes, "test")
    return ProducerRecord(
        event.topic, event.key.encode(), event.model_dump_json().encode(), headers
    )


def column(database, statement):
    with psycopg.connect(database.owner_dsn) as connection:
        return [row[0] for row in connection.execute(statement)]


async def until(database, statement, count):
    async with asyncio.timeout(60):
        while len(column(database, statement)) < count:  # noqa: ASYNC110 - a table sets no event
            await asyncio.sleep(0.2)


@pytest.fixture
async def ops(stack, infrastructure, operator_trust, monkeypatch):
    """The server of ops, with a schema of its own and a login that may read a test's topic."""
    brokers = infrastructure.brokers
    login = {"kafka_user": brokers.user, "kafka_password": brokers.password}
    with fresh_database(infrastructure, "ops", [ROOT / "services/ops/migrations"]) as database:
        settings = settings_of(Settings, stack, database, monkeypatch)
        process = build(settings.model_copy(update=operator_trust | login))
        async with running(process), client_of(process) as http:
            http.database = database
            yield http


async def countersign(kafka, *arguments):
    environment = kafka | {"COUNTERSIGN_OFFSET": "1", "PATH": "/bin"}
    process = await asyncio.create_subprocess_exec(
        str(COMMAND), *arguments, "--json", env=environment, stdout=-1, stderr=-1
    )
    out, error = await asyncio.wait_for(process.communicate(), 60)
    return process.returncode, json.loads(out) if out else error.decode()


async def end_of(brokers, topic):
    """Return the number of records of a topic."""
    consumer = AIOKafkaConsumer(topic, **brokers.arguments, group_id=None)
    await consumer.start()
    try:
        return sum((await consumer.end_offsets(consumer.assignment())).values())
    finally:
        await consumer.stop()


@pytest.mark.stack
async def test_a_thousand_dead_letters_redriven_twice_have_one_effect_each(probe, database, ops):
    refusing = probe.start(probe.password_file, PROBE_REFUSES="true", PROBE_INBOX="true")
    await probe.publish([numbered(probe, number) for number in range(MESSAGES)])
    await until(database, "select event_id from dead_letter", MESSAGES)
    await probe.read(f"{probe.topic}-dlq", MESSAGES)
    refusing.terminate()
    await asyncio.to_thread(refusing.wait, 15)
    audited = await end_of(probe.brokers, "audit.recorded.v1")

    probe.start(probe.password_file, PROBE_INBOX="true")
    order = ("dlq", "redrive", "--topic", probe.topic)
    status, result = await countersign(probe.kafka, *order)
    assert (status, "--yes" in result) == (1, True)
    status, result = await countersign(probe.kafka, *order, "--dry-run")
    assert (status, result["matched"], result["redriven"]) == (0, MESSAGES, 0)
    assert {name for one in result["letters"] for name in one["data"]} == {"lane", "number"}
    places = {"places": [letter["place"] for letter in result["letters"]]}
    for _ in range(2):
        answer = await ops.post("/admin/redrives", json=places, headers=signed_in("dlq.redrive"))
        seen = approval_of(answer.json())
        alone = await ops.post(**seen, headers=signed_in("dlq.redrive"))
        done = await ops.post(**seen, headers=signed_in("dlq.redrive", name="bob"))
        assert (answer.status_code, alone.status_code, done.status_code) == (202, 409, 200)
        assert done.json()["redriven"] == MESSAGES

    # The second round has passed once a later record is handled in each partition.
    await probe.publish([numbered(probe, MESSAGES + lane) for lane in range(5)])
    await until(database, "select number from tally where number >= 1000", 5)
    numbers = column(database, "select number from tally")
    assert sorted(numbers) == list(range(MESSAGES + 5))
    assert await end_of(probe.brokers, "audit.recorded.v1") == audited + 2 * (MESSAGES + 2)


@pytest.mark.stack
async def test_dead_letters_are_discarded_by_two_people_and_leave_the_list(probe, database, ops):
    refusing = probe.start(probe.password_file, PROBE_REFUSES="true", PROBE_INBOX="true")
    await probe.publish([numbered(probe, number) for number in range(3)])
    await probe.read(f"{probe.topic}-dlq", 3)
    refusing.terminate()
    await asyncio.to_thread(refusing.wait, 15)

    async def listed(**asked):
        query = {"topic": probe.topic, **asked}
        reply = await ops.get("/admin/dead-letters", params=query, headers=signed_in("ops.read"))
        return reply.json()

    letters = (await listed())["letters"]
    given_up, kept = [one["place"] for one in letters[:2]], letters[2]["place"]
    order = {"places": given_up, "reason": "a test of ours, sent by mistake"}
    for wrong, status in (
        ({**order, "reason": "short"}, 400),
        ({**order, "reason": "a reason\nof two lines"}, 400),
        ({**order, "places": []}, 400),
        ({**order, "places": [f"{probe.topic}/0/999999"]}, 409),
    ):
        reply = await ops.post("/admin/discards", json=wrong, headers=signed_in("dlq.redrive"))
        assert reply.status_code == status, reply.text
    reply = await ops.post("/admin/discards", json=order, headers=signed_in("dlq.redrive"))
    assert (reply.status_code, reply.json()["about"]) == (202, "2 dead letters")
    seen = approval_of(reply.json())
    read = await ops.get(seen["url"].removesuffix("/approve"), headers=signed_in("ops.read"))
    assert [one["place"] for one in read.json()["body"]["letters"]] == sorted(given_up)
    alone = await ops.post(**seen, headers=signed_in("dlq.redrive"))
    assert (alone.status_code, (await listed())["total"]) == (409, 3)

    audited = await end_of(probe.brokers, "audit.recorded.v1")
    done = await ops.post(**seen, headers=signed_in("dlq.redrive", name="bob"))
    assert (done.status_code, done.json()["discarded"]) == (200, 2)
    assert [one["place"] for one in (await listed())["letters"]] == [kept]
    assert (await listed(discarded=True))["total"] == 2
    (one,) = (await ops.get("/admin/discards", headers=signed_in("ops.read"))).json()["discards"]
    assert (one["reason"], one["places"]) == (order["reason"], sorted(given_up))
    assert (one["proposed_by"], one["approved_by"]) == (actor("alice"), actor("bob"))
    again = await ops.post("/admin/discards", json=order, headers=signed_in("dlq.redrive"))
    assert "Discarded already" in again.json()["error"]
    # One row for each letter and one for the approval; reads of others come beside them.
    async with asyncio.timeout(30):
        while await end_of(probe.brokers, "audit.recorded.v1") < audited + 3:  # noqa: ASYNC110
            await asyncio.sleep(0.2)
    # Its consumer has them as dead letters still, so nothing is missing between the offsets (I5).
    assert len(column(database, "select event_id from dead_letter")) == 3
    with (
        psycopg.connect(ops.database.dsn) as service,
        pytest.raises(psycopg.errors.RaiseException, match="second person"),
    ):
        service.execute(
            """insert into discard (id, reason, places)
               values (gen_random_uuid(), 'alone, without anybody', '["a/0/1"]')"""
        )
