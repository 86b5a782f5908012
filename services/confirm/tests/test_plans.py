"""The planner's choices for the hot statements, with 100,000 payments: look-ups by key alone."""

from datetime import timedelta
from uuid import UUID

import pytest
from confirm_builders import assessed, first_request, settled

from confirm import handlers
from confirm.domain.payment import Status
from confirm.routes import END, LAST
from confirm.store import PostgresDeadlines
from confirm.store.check import findings
from confirm.store.records import PaymentQueries
from confirm.store.search import (
    MOST_OF_USER,
    MOST_SCANNED,
    MOST_UNFINISHED,
    NEWEST,
    WINDOW,
    Wanted,
    activity,
    search,
)
from double_entry.check import LedgerCheck
from service_runtime.messages import Batch
from testkit.events import received
from testkit.plans import CountingTransaction, planning, rows_touched, touched_since

pytestmark = pytest.mark.stack

PAYMENTS = 100_000
BATCH = 20
PAGE = 50
MOST_ROWS = 8
"""Rows of one table read for one payment: locks, the unique keys, and rows of this test."""


@pytest.fixture
async def world(postgres_world):
    """Filling the tables takes some seconds; the plans of an empty table say nothing."""
    await postgres_world.open_account("acc-1", "usr-456", 1_000_000_00)
    await postgres_world.add_history(1, PAYMENTS)
    return postgres_world


def names(number):
    return {"transaction_id": f"new-{number}", "idempotency_key": f"new-key-{number}"}


async def touched(world, *events):
    """Handle events in one transaction; return what it touched."""
    items = [received(event, world.clock.new_id()) for event in events]
    async with world.database.transaction() as tx:
        before = await rows_touched(tx)
        await world.handler(events[0])(Batch(items, world.clock.now()), world.store(tx))
        return await touched_since(before, tx)


def assert_by_key(found):
    """Require that every table was read by key alone."""
    for table, counts in found.items():
        assert counts["scanned"] == 0, table
        assert counts["read"] <= MOST_ROWS * BATCH, (table, counts)


async def new_payments(world):
    return [one for one in await world.payments() if one.transaction_id.startswith("new-")]


async def test_every_hot_statement_looks_up_its_rows_by_key(world):
    requests = [first_request(amount="1", **names(number)) for number in range(BATCH)]
    assert_by_key(await touched(world, *requests))
    assert_by_key(await touched(world, *requests))

    scored = [assessed(payment) for payment in await new_payments(world)]
    assert_by_key(await touched(world, *scored))

    confirmed = await new_payments(world)
    assert {payment.status for payment in confirmed} == {Status.CONFIRMED}
    assert_by_key(await touched(world, *[settled(one, "SENT") for one in confirmed[:10]]))
    assert_by_key(await touched(world, *[settled(one, "REJECTED", 3) for one in confirmed[:10]]))
    assert_by_key(await touched(world, *[settled(one, "SETTLED", 3) for one in confirmed[10:]]))

    await world.take(*[first_request(amount="1", **names(n)) for n in range(100, 100 + BATCH)])
    await world.later(hours=1)
    async with world.database.transaction() as tx:
        before = await rows_touched(tx)
        table = PostgresDeadlines()
        due = await table.claim(tx, BATCH, 10.0)
        assert await table.still_mine(tx, due) == {item.row for item in due}
        await handlers.on_due_payments(Batch(due, world.clock.now()), world.store(tx))
        assert_by_key(await touched_since(before, tx))
    assert len(due) == BATCH


async def test_a_check_of_recent_changes_does_not_read_finished_payments(world):
    async with world.database.transaction() as tx:
        await LedgerCheck(tx).advance(anew=True)
    async with world.database.transaction() as tx:
        counting = CountingTransaction(tx)
        await findings(counting, 60.0, world.clock.now())

    assert 0 < counting.read < PAYMENTS / 2


SEARCHES = (
    {},
    {"user_id": "usr-456"},
    {"user_id": "nobody"},
    {"account": "acc-1"},
    {"account": "nobody"},
    {"status": "CONFIRMED"},
    {"status": "DECLINED"},
    {"settlement_status": "UNKNOWN"},
    {"amount_minor": 77, "currency": "USD"},
    {"user_id": "usr-456", "status": "DECLINED"},
    {"account": "acc-1", "settlement_status": "SETTLED", "currency": "USD"},
)


async def test_every_page_of_operators_reads_a_bounded_number_of_rows_by_key(world):
    await world.take(*[first_request(amount="1", **names(n)) for n in range(BATCH)])
    async with world.database.transaction() as tx:
        planned, connection = planning(tx)
        counting = CountingTransaction(tx)
        now = world.clock.now()
        for fields in SEARCHES:
            for times in ({}, {"since": now - timedelta(days=2), "until": now}):
                wanted, before = Wanted(**fields, **times), counting.read
                await search(planned, wanted, (END, LAST), PAGE)
                await search(counting, wanted, (now, LAST), PAGE)
                # Each table once, the page again, what is materialized twice; and the user's count.
                most = 4 * MOST_SCANNED + 4 * PAGE + MOST_OF_USER
                assert counting.read - before <= most, fields
        assert connection.explained >= 2 * len(SEARCHES)

        before = counting.read
        for one in (planned, counting):
            await activity(one, now - timedelta(days=1) + WINDOW / 2)
        assert counting.read - before <= 3 * (NEWEST + MOST_UNFINISHED)
        records = PaymentQueries(planned)
        for name in ("tx-7", "ref-7", str(UUID(int=7)), "nothing"):
            await records.matching(name, None)
    assert connection.slow == []
