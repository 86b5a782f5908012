"""The planner's choices for the hot statements, with 100,000 payments: look-ups by key alone."""

import pytest
from confirm_builders import assessed, first_request, settled

from confirm import handlers
from confirm.domain.payment import Status
from confirm.store import PostgresDeadlines
from confirm.store.check import findings
from double_entry.check import LedgerCheck
from service_runtime.messages import Batch
from testkit.events import received
from testkit.plans import CountingTransaction, rows_touched, touched_since

pytestmark = pytest.mark.stack

PAYMENTS = 100_000
BATCH = 20
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
