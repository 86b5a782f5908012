"""The runtime's promises on real Kafka and PostgreSQL, with the consumer in a separate process."""

import asyncio
import os
import re
import signal
import time
from pathlib import Path
from uuid import UUID, uuid4

import aiokafka.producer.message_accumulator
import aiokafka.producer.producer
import httpx
import pytest
from aiokafka.record.default_records import _DefaultRecordBatchBuilderPy as PlainBuilder

from payment_schemas.ids import event_id_of
from payment_schemas.registry import BY_TYPE
from service_runtime.messages import ProducerRecord
from service_runtime.outbox import _packed, _unpacked
from service_runtime.producer import KafkaProducer
from testbed.probe_process import Probe, make_topics
from testkit.probe import DIES_AFTER_COMMIT, DIES_BEFORE_COMMIT, Tallied

pytestmark = pytest.mark.stack

PARTITIONS = 2


@pytest.fixture
async def topic(infrastructure, postgres):
    """A topic of the test's own, with its dead letters; the tables are empty."""
    name = f"probe.{uuid4().hex}.v1"
    await make_topics(infrastructure.brokers, name, f"{name}-dlq", f"{name}.tallied")
    yield name
    BY_TYPE.pop(name, None)


@pytest.fixture
def password_file(tmp_path):
    file = tmp_path / "password"
    file.write_text("probe")
    return str(file)


@pytest.fixture
def probe(infrastructure, probe_settings, topic):
    found = Probe(infrastructure, probe_settings, topic)
    yield found
    found.end()


async def tallied(rows, count, within_s=30):
    """Wait for a count of tallied numbers; return all, in the order of writing."""
    async with asyncio.timeout(within_s):
        while len(rows("select * from tally")) < count:  # noqa: ASYNC110 - the same
            await asyncio.sleep(0.05)
    return [row["number"] for row in rows("select number from tally order by place")]


async def outbox_empty(rows):
    async with asyncio.timeout(20):
        while rows("select id from outbox"):  # noqa: ASYNC110 - a table sets no event
            await asyncio.sleep(0.1)


def outgoing(record, probe, number, lane=None):
    lane = lane or f"lane-{number % 5}"
    return record(number, event=probe.event, event_id=uuid4(), lane=lane)


@pytest.mark.parametrize("where", [DIES_BEFORE_COMMIT, DIES_AFTER_COMMIT])
async def test_a_consumer_killed_at_the_commit_loses_and_doubles_nothing(
    probe, password_file, record, rows, where
):
    numbers = list(range(300))
    sent = [outgoing(record, probe, number) for number in numbers]
    await probe.publish(sent[:150])
    dying = probe.start(password_file, PROBE_DIES_AT="149", PROBE_DIES=where)
    assert await asyncio.to_thread(dying.wait, 30) == -signal.SIGKILL

    probe.start(password_file)
    await probe.publish(sent[150:])
    found = await tallied(rows, len(numbers))
    await outbox_empty(rows)

    assert sorted(found) == numbers
    ids = {UUID(dict(one.headers)["ce_id"].decode()) for one in sent}
    assert {row["event_id"] for row in rows("select event_id from tally")} == ids
    told = await probe.read(probe.tells, len(numbers))
    assert {dict(one.headers)["ce_id"].decode() for one in told} == {
        str(event_id_of(cause, Tallied.ce_type)) for cause in ids
    }


async def test_a_killed_consumer_is_back_and_handles_its_first_record_in_three_seconds(
    probe, password_file, record, rows
):
    running = probe.start(password_file)
    await probe.ready()
    waits = []
    for number in (1, 2, 3):
        running.kill()
        await asyncio.to_thread(running.wait, 10)
        await probe.publish([outgoing(record, probe, number)])
        begin = time.monotonic()
        running = probe.start(password_file)
        assert await tallied(rows, number) == list(range(1, number + 1))
        waits.append(time.monotonic() - begin)

    # A busy machine may slow one down; a member that is not static waits six seconds every time.
    assert min(waits) < 3.0


def poison(record, probe):
    """One record of each kind that no consumer can handle."""
    good = [outgoing(record, probe, 10_000 + number) for number in range(9)]

    def value(number, raw):
        one = good[number]
        return ProducerRecord(one.topic, one.key, raw, one.headers)

    def header(number, name, raw):
        one = good[number]
        kept = tuple(pair for pair in one.headers if pair[0] != name)
        return ProducerRecord(one.topic, one.key, one.value, (*kept, (name, raw)))

    return {
        "bytes": value(0, b"\x00\xff\xfe"),
        "schema": value(1, b'{"lane":"a"}'),
        "null value": value(2, None),
        "900 KB": value(3, os.urandom(900_000)),
        "wrong type": header(4, "ce_type", b"probe.other.v1"),
        "unknown version": header(5, "ce_type", b"probe.numbered.v2"),
        "non-UTF-8 header": header(6, "ce_id", b"\xff\xfe"),
        "null header": header(7, "ce_id", None),
        "NUL in a header's name": header(8, "ce_time", b"nonsense"),
    }


async def test_every_poison_among_500_becomes_one_whole_dead_letter(
    probe, password_file, record, rows
):
    bad = list(poison(record, probe).values())
    odd = bad[-1]
    bad[-1] = ProducerRecord(
        odd.topic, odd.key, odd.value, (*odd.headers, ("n\x00me", b"\xff\x00"))
    )
    good = [outgoing(record, probe, number) for number in range(500)]
    mixed = [*good[:250], *bad, *good[250:]]
    begin = time.monotonic()
    await probe.publish(mixed)
    probe.start(password_file)

    assert sorted(await tallied(rows, 500)) == list(range(500))
    letters = await probe.read(f"{probe.topic}-dlq", len(bad))

    assert time.monotonic() - begin < 20
    assert len(letters) == len(bad)
    whole = {(letter.key, letter.value, tuple(letter.headers)[:-8]) for letter in letters}
    assert whole == {(one.key, one.value, one.headers) for one in bad}
    for letter in letters:
        names = [name for name, _ in letter.headers[-8:]]
        assert names == [
            "dl_consumer",
            "dl_topic",
            "dl_partition",
            "dl_offset",
            "dl_reason",
            "dl_error_class",
            "dl_attempts",
            "dl_first_seen",
        ]


class RubbishName(str):
    """A header name that is not UTF-8; it is sent unchanged."""

    __slots__ = ()

    def encode(self, *_how):
        return b"\xff\xfe\xfd"


async def test_a_header_name_that_is_not_utf8_costs_its_record_alone(
    probe, password_file, record, rows, monkeypatch
):
    for module in (aiokafka.producer.producer, aiokafka.producer.message_accumulator):
        monkeypatch.setattr(module, "DefaultRecordBatchBuilder", PlainBuilder)
    good = [outgoing(record, probe, number, lane="a") for number in range(3)]
    odd = good[1]
    bad = ProducerRecord(odd.topic, odd.key, odd.value, (*odd.headers, (RubbishName("rub"), b"x")))
    await probe.publish([good[0], bad, good[2]])
    probe.start(password_file)

    assert await tallied(rows, 2) == [0, 2]
    (letter,) = await probe.read(f"{probe.topic}-dlq", 1)
    assert (letter.key, letter.value) == (bad.key, bad.value)
    assert tuple(letter.headers)[:-8] == (*odd.headers, ("\\xff\\xfe\\xfd", b"x"))
    assert dict(letter.headers)["dl_reason"] == b"header"


async def test_an_outage_of_a_table_loses_nothing_and_keeps_the_member_in_its_group(
    probe, password_file, record, rows
):
    probe.start(password_file)
    await probe.ready()
    rows("alter table consumed rename to elsewhere")
    try:
        await probe.publish([outgoing(record, probe, number, lane="a") for number in range(50)])
        await asyncio.sleep(8)
        assert rows("select * from tally") == []
    finally:
        rows("alter table elsewhere rename to consumed")
    await probe.publish([outgoing(record, probe, number, lane="a") for number in range(50, 60)])

    assert await tallied(rows, 60, within_s=20) == list(range(60))
    assert rows("select * from dead_letter") == []


async def has_tried(probe):
    """Wait until the process has begun with a batch."""
    async with httpx.AsyncClient(timeout=5) as http, asyncio.timeout(60):
        while True:
            shown = await http.get(f"http://127.0.0.1:{probe.port}/metrics")
            if "consumer_batch_size_count" in shown.text:
                return
            await asyncio.sleep(0.05)


async def test_a_consumer_killed_in_its_back_off_leaves_nothing_behind_that_looks_done(
    probe, password_file, record, rows
):
    # In development metrics need no credential.
    dying = probe.start(password_file)
    await probe.ready()
    rows("alter table tally rename to elsewhere")
    try:
        await probe.publish([outgoing(record, probe, number, lane="a") for number in range(50)])
        await has_tried(probe)
        dying.kill()
        await asyncio.to_thread(dying.wait, 10)
        assert rows("select * from consumed where next_offset > first_offset") == []
    finally:
        rows("alter table elsewhere rename to tally")
    probe.start(password_file)

    assert await tallied(rows, 50, within_s=60) == list(range(50))
    assert rows("select sum(handled) as handled from consumed") == [{"handled": 50}]


async def test_a_redriven_record_is_handled_by_the_consumer_that_refused_it(
    probe, password_file, record, rows
):
    rows("alter table tally add constraint small check (number < 100)")
    try:
        probe.start(password_file, PROBE_INBOX="true")
        refused = outgoing(record, probe, 100)
        await probe.publish([refused, outgoing(record, probe, 1)])
        (letter,) = await probe.read(f"{probe.topic}-dlq", 1)
        assert dict(letter.headers)["dl_error_class"] == b"CheckViolation"
    finally:
        rows("alter table tally drop constraint small")
    original = ProducerRecord(probe.topic, letter.key, letter.value, tuple(letter.headers)[:-8])
    await probe.publish([original, original])

    assert sorted(await tallied(rows, 2)) == [1, 100]
    await asyncio.sleep(0.5)
    assert len(rows("select * from tally")) == 2
    assert UUID(dict(original.headers)["ce_id"].decode()) in {
        row["event_id"] for row in rows("select event_id from tally")
    }


async def consumed_once(probe, password_file, record, rows, *numbers):
    """Handle numbers and stop, so that the group has committed them, too."""
    process = probe.start(password_file)
    await probe.publish([outgoing(record, probe, number) for number in numbers])
    await tallied(rows, len(numbers))
    process.terminate()
    assert await asyncio.to_thread(process.wait, 12) == 0


async def test_without_offsets_in_the_database_the_groups_offsets_count(
    probe, password_file, record, rows
):
    """The first start after the migration: records before it are not handled again."""
    await consumed_once(probe, password_file, record, rows, *range(20))
    rows("truncate consumed")
    probe.start(password_file)
    await probe.publish([outgoing(record, probe, 20)])

    assert sorted(await tallied(rows, 21)) == list(range(21))
    await asyncio.sleep(0.5)
    assert len(rows("select * from tally")) == 21
    assert rows("select sum(handled) as handled from consumed") == [{"handled": 1}]


async def test_the_offsets_of_the_database_count_before_those_of_the_group(
    probe, password_file, record, rows
):
    """As after a restore of the database: what it does not know is handled again."""
    await consumed_once(probe, password_file, record, rows, *range(20))
    rows("update consumed set next_offset = first_offset, handled = 0")
    rows("truncate tally")
    probe.start(password_file)

    assert sorted(await tallied(rows, 20)) == list(range(20))


async def test_a_log_that_ends_before_the_offset_is_read_from_its_beginning(
    probe, password_file, record, rows
):
    """As after a topic was created anew, or the broker was restored."""
    await consumed_once(probe, password_file, record, rows, *range(20))
    rows("update consumed set next_offset = next_offset + 1000, handled = handled + 1000")
    rows("truncate tally")
    probe.start(password_file)

    assert sorted(await tallied(rows, 20)) == list(range(20))
    assert rows("select sum(handled) as handled from consumed") == [{"handled": 20}]


async def test_records_that_the_broker_deleted_unread_are_passed_over_and_counted(
    probe, password_file, record, rows, postgres
):
    await consumed_once(probe, password_file, record, rows, 0)
    await probe.publish([outgoing(record, probe, number, lane="a") for number in range(1, 11)])
    await probe.delete_all_but_the_last()
    probe.start(password_file)

    assert (await tallied(rows, 2))[-1] == 10
    async with postgres.transaction() as tx:
        found = await tx.consumption(probe.topic)
    assert sum(row["missing"] for row in found) == 9


async def test_a_row_for_a_missing_topic_delays_no_other(probe, password_file, record, rows):
    probe.start(password_file)
    await probe.ready()
    late = "insert into outbox (records, record_count, claimed_by, claimed_until)"
    for one in (ProducerRecord("no.such.topic", None, b"1", ()), outgoing(record, probe, 7)):
        rows(f"{late} values (%b, 1, 'the dead', now())", _packed([one]))

    assert await tallied(rows, 1) == [7]
    async with asyncio.timeout(20):
        while len(left := rows("select records from outbox")) > 1:  # noqa: ASYNC110 - as above
            await asyncio.sleep(0.1)
    assert [_unpacked(row["records"])[0].topic for row in left] == ["no.such.topic"]


async def test_a_stop_takes_at_most_ten_seconds_and_repeats_nothing(
    probe, password_file, record, rows
):
    process = probe.start(password_file)
    await probe.ready()
    await probe.publish([outgoing(record, probe, number) for number in range(20)])
    await tallied(rows, 20)

    begin = time.monotonic()
    process.terminate()

    assert await asyncio.to_thread(process.wait, 12) == 0
    assert time.monotonic() - begin < 10
    assert rows("select * from outbox") == []


async def listens_to(process, number):
    """Wait until the process handles a signal, which would end it before."""
    async with asyncio.timeout(60):
        while True:
            status = Path(f"/proc/{process.pid}/status").read_text()  # noqa: ASYNC240 - no disk
            caught = int(re.search(r"^SigCgt:\s*(\w+)$", status, re.MULTILINE)[1], 16)
            if caught >> (number - 1) & 1:
                return
            await asyncio.sleep(0.05)


async def test_a_process_that_waits_for_its_broker_stops_on_sigterm(
    probe, password_file, probe_settings
):
    process = probe.start(password_file, KAFKA_BOOTSTRAP_SERVERS="127.0.0.1:1")
    await listens_to(process, signal.SIGTERM)
    await asyncio.sleep(1)
    assert process.poll() is None

    begin = time.monotonic()
    process.terminate()

    assert await asyncio.to_thread(process.wait, 12) == 0
    assert time.monotonic() - begin < 10


async def test_a_stop_does_not_wait_for_a_lost_broker(probe, password_file, record, rows, stack):
    process = probe.start(password_file)
    await probe.ready()
    await probe.publish([outgoing(record, probe, number) for number in range(20)])
    await tallied(rows, 20)
    await asyncio.to_thread(stack.stop_process, "kafka")
    try:
        await asyncio.sleep(1)
        async with httpx.AsyncClient(timeout=10) as http:
            answer = await http.get(f"http://127.0.0.1:{probe.port}/ready")
        assert "kafka" in answer.json()["missing"]
        begin = time.monotonic()
        process.terminate()

        assert await asyncio.to_thread(process.wait, 20) == 0
        assert time.monotonic() - begin < 10
    finally:
        await asyncio.to_thread(stack.start_process, "kafka")
        await _broker_is_back(probe.brokers)


async def _broker_is_back(brokers):
    async with asyncio.timeout(60):
        while True:
            producer = KafkaProducer(brokers, "test")
            async with producer:
                if await producer.connected():
                    return
            await asyncio.sleep(0.2)
