"""I5 on real Kafka and PostgreSQL: an offset that was raised over a record is found."""

import asyncio
from datetime import UTC, datetime
from uuid import uuid4

import psycopg
import pytest

from local_stack.layout import CHECKOUT
from ops.check.conservation import Conservation
from ops.clients.addresses import Addresses
from ops.clients.system import System
from ops.domain.errors import UnavailableError
from ops.domain.findings import Findings
from payment_schemas.cloudevents import Attributes, headers_of
from payment_schemas.registry import BY_TYPE
from service_runtime.messages import ProducerRecord
from service_runtime.settings import ServiceSettings
from testbed.database import fresh_database
from testbed.probe_process import Probe, make_topics
from testbed.service import SECRET, callers, kafka_fields

pytestmark = pytest.mark.stack
RECORDS = 120
UNREADABLE = 3
GRACE_S = 60.0


@pytest.fixture
def database(infrastructure):
    with fresh_database(infrastructure, "probe", [CHECKOUT / "libs/runtime/tests/sql"]) as database:
        yield database


@pytest.fixture
async def probe(infrastructure, database, tmp_path):
    """A consumer that accepts the credential of ops."""
    name = f"probe.{uuid4().hex}.v1"
    await make_topics(infrastructure.brokers, name, f"{name}-dlq", f"{name}.tallied")
    secrets = {"password": "probe", "ops": SECRET, "callers": callers()}
    for file, text in secrets.items():
        (tmp_path / file).write_text(text)
    settings = ServiceSettings(
        port=1,
        **kafka_fields(infrastructure),
        database_url=database.dsn,
        DATABASE_PASSWORD_FILE=str(tmp_path / "password"),
    )
    found = Probe(infrastructure, settings, name)
    yield found
    found.end()
    BY_TYPE.pop(name, None)


def numbered(probe, number):
    event = probe.event(lane=f"lane-{number % 5}", number=number)
    headers = headers_of(event, Attributes(uuid4(), datetime.now(UTC)), "test")
    return ProducerRecord(
        event.topic, event.key.encode(), event.model_dump_json().encode(), headers
    )


@pytest.fixture
async def consumed(probe, tmp_path):
    """The probe after it has consumed all records, some of them unreadable."""
    start(probe, tmp_path)
    await probe.publish([numbered(probe, number) for number in range(RECORDS)])
    await probe.publish([ProducerRecord(probe.topic, b"", b"", ())] * UNREADABLE)
    await probe.ready()
    return probe


def start(probe, folder):
    return probe.start(str(folder / "password"), INTERNAL_CREDENTIALS_FILE=str(folder / "callers"))


@pytest.fixture
def conservation(probe, tmp_path):
    addresses = Addresses(
        {probe.topic: f"http://127.0.0.1:{probe.port}"},
        lambda: probe.brokers,
        credential_file=str(tmp_path / "ops"),
        admins=(probe.topic,),
    )
    with System(addresses) as system:
        yield Conservation(system)


async def whole(conservation, grace_s=GRACE_S):
    findings = Findings()
    await asyncio.to_thread(conservation.whole, findings, grace_s)
    return findings


async def handled(conservation):
    findings = Findings()
    await asyncio.to_thread(conservation.handled, findings)
    return findings


def execute(database, statement):
    with psycopg.connect(database.owner_dsn) as connection:
        return connection.execute(statement).fetchall()


async def test_handled_records_and_dead_letters_are_no_violation(consumed, conservation):
    found = await whole(conservation)
    assert (found.violations, found.notes) == ([], [])
    assert found.checked["I5"] == RECORDS + UNREADABLE

    found = await handled(conservation)
    assert (found.violations, found.checked["I5"]) == ([], RECORDS + UNREADABLE)


async def test_an_offset_raised_over_a_record_is_a_violation(consumed, conservation, database):
    await whole(conservation)
    [(partition,)] = execute(
        database,
        "update consumed set handled = handled - 1"
        ' where "partition" = (select min("partition") from consumed) returning "partition"',
    )
    for found in (await whole(conservation), await handled(conservation)):
        assert [one.about for one in found.violations] == [f"{consumed.topic}/{partition}"]
        assert "passed over 1 records" in found.violations[0].details


async def test_a_lost_dead_letter_is_a_violation(consumed, conservation, database):
    await whole(conservation)
    [(partition,)] = execute(
        database,
        'delete from dead_letter where "offset" = (select max("offset") from dead_letter)'
        ' returning "partition"',
    )
    found = await handled(conservation)
    assert [one.about for one in found.violations] == [f"{consumed.topic}/{partition}"]


async def test_a_log_that_ends_before_the_handled_offset_is_a_violation(
    consumed, conservation, database
):
    await whole(conservation)
    execute(
        database,
        "update consumed set next_offset = next_offset + 7, handled = handled + 7 returning 1",
    )
    found = await whole(conservation)
    assert all("the log ends at" in one.details for one in found.violations)
    assert found.counts["I5"] > 0


async def test_a_record_that_comes_during_the_check_is_no_violation(
    consumed, conservation, monkeypatch
):
    """While one partition is awaited, another gets a record after the look at the topics."""
    await whole(conservation)
    read = conservation._consumed
    steps = iter(((-1, 0), (0, 1)))

    def report(consumer):
        found = read(consumer)
        for row, step in zip(found["partitions"], next(steps), strict=False):
            row["next_offset"] += step
        return found

    monkeypatch.setattr(conservation, "_consumed", report)
    assert (await whole(conservation)).violations == []
    assert next(steps, None) is None


async def test_unconsumed_records_are_a_violation_after_the_grace_period(
    consumed, conservation, tmp_path
):
    await whole(conservation)
    consumed.end()
    await consumed.publish([numbered(consumed, 1000)])
    with pytest.raises(UnavailableError, match="cannot be reached"):
        await whole(conservation)
    start(consumed, tmp_path)
    await consumed.ready()
    assert (await whole(conservation)).violations == []
