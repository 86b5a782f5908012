"""The contract of the instruction stores, in memory and in PostgreSQL."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import psycopg
import pytest
from settlement_builders import NOW, instruction

from service_runtime.paging import START
from settlement.domain import NextStep, Status, begin
from settlement.store import NewInstruction, queries
from testkit.plans import CountingTransaction

TRACE = (("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),)


async def add(world, *instructions, trace=()):
    async with world.database.transaction() as tx:
        new = [NewInstruction(row, trace) for row in instructions]
        return (await world.store(tx).add(new)).refused


async def save(world, *instructions, epoch=0):
    async with world.database.transaction() as tx:
        epochs = {row.payment_id: epoch for row in instructions}
        return await world.store(tx).save(instructions, epochs)


async def claim(world, limit=100, only=None, lease_s=10.0):
    async with world.database.transaction() as tx:
        return await world.table(only).claim(tx, limit, lease_s)


async def test_a_claimed_instruction_equals_the_added_one(world):
    await add(world, instruction(), trace=TRACE)
    (due,) = await claim(world)
    assert due.row == instruction()
    assert due.cause.id == instruction().payment_id
    assert due.cause.trace == TRACE


async def test_a_repeated_add_changes_nothing(world):
    await add(world, instruction())
    await save(world, instruction(status=Status.SETTLED))
    assert await add(world, instruction(), instruction()) == set()
    assert (await world.row_of(instruction()))["status"] == "SETTLED"


async def test_a_uetr_belongs_to_one_payment(world):
    await add(world, instruction(1))
    stolen = instruction(2, uetr=instruction(1).uetr)
    assert await add(world, instruction(3), stolen) == {stolen.payment_id}


async def test_a_payment_keeps_its_first_uetr(world):
    await add(world, instruction(1))
    changed = instruction(1, uetr=instruction(9).uetr)
    assert await add(world, changed) == {changed.payment_id}
    assert (await world.row_of(changed))["uetr"] == instruction(1).uetr


async def test_a_begun_instruction_stays_leased(world):
    await add(world, instruction())
    (due,) = await claim(world)
    async with world.database.transaction() as tx:
        await world.store(tx).begin([begin(due.row, NOW)])
    assert await claim(world) == []
    row = await world.row_of(instruction())
    assert (row["status"], row["next_step"], row["version"]) == ("SENDING", "ENQUIRE", 2)


async def test_all_fields_that_a_step_changes_are_saved(world):
    await add(world, instruction())
    await claim(world)
    changed = instruction(
        status=Status.UNKNOWN,
        next_step=NextStep.SEND,
        tries=4,
        reason="AC04",
        bank_reference="B-1",
        sent_at=NOW,
    )
    await save(world, changed, epoch=1)
    (due,) = await claim(world)
    assert due.row == changed
    assert (due.epoch, due.attempts) == (2, 2)


async def test_a_step_under_an_earlier_epoch_is_not_saved(world):
    await add(world, instruction(1), instruction(2))
    await claim(world, limit=1)
    ended = [instruction(number, status=Status.SETTLED) for number in (1, 2)]
    assert await save(world, *ended) == {instruction(2).payment_id}
    assert (await world.row_of(instruction(1)))["status"] == "QUEUED"


class Taking:
    """Takes rows over."""

    def __init__(self):
        self.taken = []

    def take(self, due, since):
        self.taken.append(due)


async def test_an_instruction_with_a_taker_is_stored_as_begun_and_leased_and_handed_over_once(
    world,
):
    taker = Taking()
    new = NewInstruction(instruction(), TRACE, taker)
    for _ in range(2):
        async with world.database.transaction() as tx:
            assert (await world.store(tx).add([new, new])).refused == set()
        for one, due in tx.handed_over:
            one.take(due, NOW)
    (due,) = taker.taken
    assert (due.row, due.cause.trace, due.epoch, due.attempts) == (instruction(), TRACE, 1, 1)
    row = await world.row_of(instruction())
    assert (row["status"], row["next_step"], row["version"]) == ("SENDING", "ENQUIRE", 2)
    assert await claim(world) == []
    await world.later()
    (due,) = await claim(world)
    assert (due.epoch, due.attempts) == (2, 2)


async def test_an_instruction_with_an_outcome_is_never_due(world):
    await add(world, instruction())
    await save(world, instruction(status=Status.SETTLED))
    await world.later()
    assert await claim(world) == []


async def test_an_outcome_cannot_change(world):
    await add(world, instruction())
    await save(world, instruction(status=Status.REJECTED))
    with pytest.raises((ValueError, psycopg.errors.RaiseException)):
        await save(world, instruction(status=Status.SETTLED, version=4))


async def test_a_worker_claims_only_rows_of_its_partner_and_step(world):
    await add(
        world,
        instruction(1),
        instruction(2, partner="north-bank"),
        instruction(3, status=Status.UNKNOWN),
    )
    only = {"partner": "first-bank", "next_step": "SEND"}
    assert [due.row for due in await claim(world, only=only)] == [instruction(1)]


async def test_two_workers_never_hold_the_same_row(world):
    await add(world, *[instruction(number) for number in range(1, 41)])
    slices = await asyncio.gather(*[claim(world, 10) for _ in range(4)])
    taken = [due.cause.id for part in slices for due in part]
    assert len(taken) == len(set(taken))
    left = await claim(world, 100)
    assert len(taken) + len(left) == 40


async def test_a_row_with_an_expired_lease_belongs_only_to_its_next_worker(world):
    await add(world, instruction())
    stale = await claim(world)
    await world.later()
    fresh = await claim(world)
    async with world.database.transaction() as tx:
        assert await world.table().still_mine(tx, stale) == set()
        assert await world.table().still_mine(tx, fresh) == {instruction().payment_id}


@pytest.mark.stack
async def test_an_instruction_is_found_by_payment_and_by_uetr(postgres_world):
    await add(postgres_world, instruction(1), instruction(2))
    async with postgres_world.database.transaction() as tx:
        by_payment = await queries.find(tx, payment_id=instruction(1).payment_id)
        by_uetr = await queries.find(tx, uetr=instruction(1).uetr)
        assert await queries.find(tx, uetr=UUID(int=77)) == []
    assert by_payment == by_uetr
    row = by_payment[0]
    assert {"status": "QUEUED", "version": 1, "amount_minor": 520_000}.items() <= row.items()
    assert row["parked_at"] is None


@pytest.mark.stack
async def test_an_export_continues_after_its_last_row(postgres_world):
    ids = sorted(instruction(number).payment_id for number in range(1, 6))
    await add(postgres_world, *[instruction(number) for number in range(1, 6)])
    async with postgres_world.database.transaction() as tx:
        first = await queries.export(tx, START, 3)
        rest = await queries.export(tx, first[-1]["payment_id"], 3)
    assert [row["payment_id"] for row in (*first, *rest)] == ids
    assert set(first[0]) == {
        "payment_id", "uetr", "partner", "status", "version", "amount_minor", "currency",
        "updated_at", "transport",
    }  # fmt: skip


@pytest.mark.stack
async def test_the_check_lists_unfinished_and_parked_rows_and_violations(postgres_world):
    await add(postgres_world, *[instruction(number) for number in (1, 2, 3)])
    await save(postgres_world, instruction(1, status=Status.SETTLED))
    await save(postgres_world, instruction(2, status=Status.UNKNOWN, version=2))
    (due,) = await claim(postgres_world, only={"next_step": "SEND"})
    async with postgres_world.database.transaction() as tx:
        await postgres_world.table().park(tx, due, "Invariant")
    found, counts = await postgres_world.check()
    assert {row["payment_id"] for row in found.unfinished} == {
        instruction(2).payment_id,
        instruction(3).payment_id,
    }
    assert all(row["age_s"] >= 0 for row in found.unfinished)
    assert counts == {"parked": 1, "dead_letters": 0}
    assert found.violations == [
        {
            "invariant": "I4",
            "payment_id": instruction(2).payment_id,
            "details": "UNKNOWN at version 2",
        }
    ]
    assert (await postgres_world.row_of(instruction(3)))["last_error"] == "Invariant"


@pytest.mark.stack
async def test_the_incremental_check_reads_open_and_recently_ended_instructions(
    postgres_world,
):
    await add(postgres_world, *[instruction(number) for number in (1, 2)])
    await save(postgres_world, instruction(1, status=Status.SETTLED, version=2))
    await save(postgres_world, instruction(2, status=Status.UNKNOWN, version=2))
    ended_at = (await postgres_world.row_of(instruction(1)))["updated_at"]

    async def violations(since):
        found, _ = await postgres_world.check(since)
        return {violation["payment_id"] for violation in found.violations}

    both = {instruction(1).payment_id, instruction(2).payment_id}
    assert await violations(None) == both
    assert await violations(ended_at) == both
    assert await violations(ended_at + timedelta(seconds=1)) == {instruction(2).payment_id}


@pytest.mark.stack
async def test_the_reads_of_an_incremental_check_do_not_grow_with_history(postgres_world):
    async def read_with(rows):
        await postgres_world.clear()
        await postgres_world.execute(
            f"""insert into instruction (id, user_id, transaction_id, uetr, partner, amount_minor,
                    currency, debtor_account, creditor_account, confirmed_at, status, next_step,
                    version, updated_at)
                select lpad(to_hex(n), 32, '0')::uuid, 'usr', 'tx-' || n,
                    lpad(to_hex(n), 32, '0')::uuid, 'first-bank', 1, 'USD', 'acc', 'payee', now(),
                    'SETTLED', 'ENQUIRE', 3, now() - interval '1 day'
                from generate_series(1, {rows}) as n"""  # noqa: S608
        )
        async with postgres_world.database.transaction() as tx:
            counting = CountingTransaction(tx)
            await queries.check(counting, datetime.now(UTC) - timedelta(minutes=5))
        return counting.read

    assert await read_with(10_000) == await read_with(1_000)


async def test_only_a_change_of_status_counts_as_an_update(world):
    await add(world, instruction())
    before = (await world.row_of(instruction()))["updated_at"]
    await world.later()
    await save(world, replace(instruction(), tries=1))
    assert (await world.row_of(instruction()))["updated_at"] == before
