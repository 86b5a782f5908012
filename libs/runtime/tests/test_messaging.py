"""Offsets, inbox, outbox and dead letters: one contract for the twin and for PostgreSQL."""

import asyncio
from dataclasses import replace
from uuid import UUID

import pytest

from service_runtime import retention
from service_runtime.messages import ProducerRecord, Record
from service_runtime.outbox import BUNDLE_RECORDS, LARGE_BYTES
from service_runtime.ports import DeadLetter
from service_runtime.postgres import PostgresDatabase
from testkit.events import NOON
from testkit.memory import MemoryDatabase

IDS = [UUID(int=number) for number in range(1, 6)]
ANYTHING = ProducerRecord(
    "probe.tallied.v1",
    b"\x00\xffkey",
    b"\x00\xfe value",
    (("ce_id", b"1"), ("null", None), ("bytes", b"\xff\x00"), ("n\x00me", b""), ("ce_id", b"2")),
    3,
)
EMPTY = ProducerRecord("probe.tallied.v1", None, None, ())


async def put(database, *records):
    async with database.transaction() as tx:
        return await tx.add_to_outbox(records)


async def claimed(database, limit=10):
    """Ids and records of claimed rows, without the time that they waited."""
    return bare(await database.claim_outbox(limit))


def bare(stored):
    return [(one.id, one.records) for one in stored]


async def run_out(database, rows):
    """Expire every claim on the outbox."""
    if isinstance(database, MemoryDatabase):
        database._clock.pass_time(seconds=11)
    else:
        rows("update outbox set claimed_until = now() - interval '1 second'")


PLACE = ("probe.numbered.v1", 2)


def records(*offsets, place=PLACE):
    return [Record(*place, offset, 0, b"k", b"v", ()) for offset in offsets]


async def begun(database, start=0, places=(PLACE,)):
    async with database.transaction() as tx:
        await tx.place_offsets("a", dict.fromkeys(places, start), dict.fromkeys(places, 1000))


async def raised(database, *offsets, consumer="a", are_handled=True):
    async with database.transaction() as tx:
        found = records(*offsets)
        before = await tx.raise_offsets(consumer, found, are_handled=are_handled)
        return before.get(PLACE), (await tx.next_offsets(consumer)).get(PLACE)


async def test_raising_returns_the_offset_before_and_never_lowers_it(database):
    await begun(database)
    assert await raised(database, 0, 1, 2) == (0, 3)
    assert await raised(database, 1, 2, 3) == (3, 4)
    assert await raised(database, 0) == (4, 4)


async def test_a_rolled_back_raise_has_no_effect(database):
    await begun(database)

    async def raise_and_fail():
        async with database.transaction() as tx:
            await tx.raise_offsets("a", records(0, 1), are_handled=True)
            await tx.add_to_outbox([EMPTY])
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await raise_and_fail()
    assert await raised(database, 0) == (0, 1)
    assert await database.count_outbox() == 0


async def test_a_partition_that_was_not_begun_has_no_offset_to_raise(database):
    assert await raised(database, 5) == (None, None)


async def test_a_consumer_raises_its_own_offsets_alone(database):
    await begun(database)
    assert await raised(database, 0, consumer="b") == (None, None)
    assert await raised(database, 0) == (0, 1)


async def test_a_begun_partition_is_not_begun_again(database):
    await begun(database, 7)
    await raised(database, 7, 8)
    await begun(database, 3)
    assert await raised(database, 9) == (9, 10)


async def test_a_log_that_ends_before_the_offset_is_begun_again(database):
    await begun(database)
    await raised(database, 0, 1, 2)
    async with database.transaction() as tx:
        await tx.place_offsets("a", {PLACE: 0}, {PLACE: 2})
    assert await raised(database, 0) == (0, 1)


async def test_an_id_is_claimed_once_per_consumer_and_topic(database):
    async with database.transaction() as tx:
        assert await tx.claim_inbox("a", "one", IDS[:3]) == set(IDS[:3])
    async with database.transaction() as tx:
        assert await tx.claim_inbox("a", "one", IDS) == set(IDS[3:])
        assert await tx.claim_inbox("a", "two", IDS) == set(IDS)
        assert await tx.claim_inbox("b", "one", IDS) == set(IDS)


async def test_an_id_that_is_twice_in_a_batch_is_claimed_once(database):
    async with database.transaction() as tx:
        assert await tx.claim_inbox("a", "one", [IDS[0], IDS[0]]) == {IDS[0]}


async def test_outbox_rows_are_claimed_by_their_writer(database):
    stored = await put(database, ANYTHING, EMPTY)

    assert [one.records for one in stored] == [(ANYTHING, EMPTY)]
    assert await database.claim_outbox(10) == []
    assert await database.count_outbox() == 2


async def test_a_record_is_read_back_unchanged_after_its_claim(database, rows):
    stored = await put(database, ANYTHING, EMPTY)
    await run_out(database, rows)

    assert await claimed(database) == bare(stored)


async def test_a_row_of_another_owner_is_claimed_again_after_its_claim(database, rows):
    await put(database, ANYTHING)
    await run_out(database, rows)
    await database.claim_outbox(10)

    assert await database.claim_outbox(10) == []


async def test_the_oldest_rows_are_taken_first_and_no_more_than_asked_for(database, rows):
    stored = [row for _ in range(5) for row in await put(database, EMPTY)]
    await run_out(database, rows)

    assert [await claimed(database, 2) for _ in range(3)] == [
        bare(stored[:2]),
        bare(stored[2:4]),
        bare(stored[4:]),
    ]


async def test_deleted_rows_are_not_claimed(database, rows):
    stored = await put(database, ANYTHING) + await put(database, EMPTY)
    await database.delete_outbox([stored[0].id])
    await database.delete_outbox([stored[0].id])
    await run_out(database, rows)

    assert await claimed(database) == bare(stored[1:])


async def test_many_records_and_large_ones_have_rows_of_their_own(database):
    large = replace(EMPTY, value=b"x" * (LARGE_BYTES + 1))

    stored = await put(database, EMPTY, large, *[EMPTY] * (BUNDLE_RECORDS + 1))

    assert [len(row.records) for row in stored] == [1, 1, BUNDLE_RECORDS, 1]
    assert [row.id for row in stored] == sorted(row.id for row in stored)
    assert await database.count_outbox() == BUNDLE_RECORDS + 3


async def test_no_records_make_no_outbox_row(database):
    assert await put(database) == []
    assert await database.count_outbox() == 0


def letter(offset, headers=(("ce_id", b"1"),)):
    record = Record("probe.numbered.v1", 2, offset, 0, b"k", b"v", headers)
    return DeadLetter(record, "schema", "MalformedRecordError", 1, NOON)


async def test_a_dead_letter_is_known_by_topic_partition_and_offset(database):
    first, second = letter(1), letter(2)
    async with database.transaction() as tx:
        assert await tx.record_dead_letters("probe", [first]) == [first]
    async with database.transaction() as tx:
        assert await tx.record_dead_letters("probe", [first, second]) == [second]


@pytest.mark.parametrize(
    "headers",
    [
        (),
        (("ce_id", None),),
        (("ce_id", b"\xff\xfe"),),
        (("ce_id", b"a\x00b"),),
        (("ce_id", b"x" * 5000),),
        (("ce_id", "ü€".encode() * 100),),
    ],
)
async def test_a_dead_letter_with_any_bytes_as_its_id_is_recorded(database, headers):
    one = letter(1, headers)
    async with database.transaction() as tx:
        assert await tx.record_dead_letters("probe", [one]) == [one]


@pytest.mark.stack
async def test_two_sweepers_never_take_one_row_in_one_claim(postgres, probe_settings, rows):
    async with PostgresDatabase(probe_settings, "probe.1") as other:
        stored = [row for _ in range(400) for row in await put(postgres, EMPTY)]
        await run_out(postgres, rows)

        taken = await asyncio.gather(
            *(base.claim_outbox(50) for _ in range(6) for base in (postgres, other))
        )

    ids = [one.id for some in taken for one in some]
    assert len(ids) == len(set(ids))
    assert sorted(ids) == [one.id for one in stored]


@pytest.mark.stack
async def test_two_instances_with_the_same_partitions_handle_each_once_without_deadlock(
    postgres,
):
    places = [("probe.numbered.v1", number) for number in range(40)]
    await begun(postgres, 0, places)

    async def claim(order):
        async with postgres.transaction() as tx:
            found = [one for place in order for one in records(0, 1, place=place)]
            before = await tx.raise_offsets("a", found, are_handled=True)
            return sum(one.offset >= before[one.place] for one in found)

    orders = places, places[::-1], places[10:] + places[:10]
    claimed = await asyncio.gather(*map(claim, orders))

    assert sorted(claimed) == [0, 0, 80]


@pytest.mark.stack
async def test_what_was_passed_over_is_missing_and_dead_letters_are_not(postgres):
    await begun(postgres, 10)
    async with postgres.transaction() as tx:
        await tx.raise_offsets("a", records(10, 11, 12), are_handled=True)
        await tx.record_dead_letters("a", [letter(13)])
        await tx.raise_offsets("a", records(13, 14, 15), are_handled=False)
        # Two of these were handled by an instance before.
        await tx.raise_offsets("a", records(14, 15, 16, 17), are_handled=True)
        (row,) = await tx.consumption("a")

    assert (row["first_offset"], row["next_offset"], row["missing"]) == (10, 18, 2)


@pytest.mark.stack
async def test_the_database_reports_whether_it_can_be_reached(postgres, probe_settings):
    assert await postgres.reachable()
    elsewhere = probe_settings.model_copy(
        update={"database_url": "postgresql://probe@127.0.0.1:1/x"}
    )
    async with PostgresDatabase(elsewhere, "probe.9") as gone:
        assert not await gone.reachable()


@pytest.mark.stack
async def test_only_rows_that_are_older_than_their_table_keeps_them_are_purged(
    postgres, rows, monkeypatch
):
    monkeypatch.setattr(retention, "SLICE_ROWS", 2)
    async with postgres.transaction() as tx:
        await tx.claim_inbox("probe", "one", IDS)
    aged = "update inbox set handled_at = now() - interval '98 days' where event_id = any(%s)"
    rows(aged, IDS[:3])

    assert await retention.due(postgres, retention.INBOX) == 3
    kept = replace(retention.INBOX, where="event_id <> '" + str(IDS[0]) + "'")
    assert await retention.due(postgres, kept) == 2
    assert await retention.purge(postgres, kept) == 2
    assert await retention.purge(postgres, retention.INBOX) == 1
    assert await retention.due(postgres, retention.INBOX) == 0

    async with postgres.transaction() as tx:
        assert await tx.claim_inbox("probe", "one", IDS) == set(IDS[:3])


@pytest.mark.stack
async def test_an_unreadable_outbox_row_delays_no_other(postgres, rows):
    (good,) = await put(postgres, ANYTHING)
    garbage = """insert into outbox (records, record_count, claimed_by, claimed_until)
                 values (%b, 1, 'the dead', now())"""
    for raw in (b"no JSON", b"[1]", b'[["topic", 0]]'):
        rows(garbage, raw)
    await run_out(postgres, rows)

    assert await claimed(postgres) == bare([good])
    assert await postgres.count_outbox() == 4
