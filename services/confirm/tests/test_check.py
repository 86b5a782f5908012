"""The frequent check reads recent changes; the full check reads everything."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from confirm_builders import assessed, first_request, settled

from confirm.store.check import findings
from confirm.store.records import PaymentQueries, page_of_payments
from double_entry.check import LedgerCheck
from double_entry.store import PostgresLedger
from testkit.plans import CountingTransaction

pytestmark = pytest.mark.stack

RANGES_ROWS = 5 * 2 * 3_500
"""Five statements use a block range index; each may read its last two ranges in full."""


@pytest.fixture
async def world(postgres_world):
    await postgres_world.open_account("acc-1", "usr-456", 1_000_000)
    return postgres_world


async def check(world, since=None):
    """Return the details of the violations."""
    async with world.database.transaction() as tx:
        await LedgerCheck(tx).advance(anew=since is None)
    async with world.database.transaction() as tx:
        found = await findings(tx, 60.0, since)
    return [one["details"] for one in found["violations"]]


async def rows_read_by_a_frequent_check(world):
    """Return the number of rows that a check without new changes reads."""
    since = datetime.now(UTC) - timedelta(minutes=5)
    async with world.database.transaction() as tx:
        counting = CountingTransaction(tx)
        await LedgerCheck(counting).advance(anew=False)
    async with world.database.transaction() as tx:
        again = CountingTransaction(tx)
        await findings(again, 60.0, since)
    return counting.read + again.read


LOOK_UPS = (
    lambda tx: PaymentQueries(tx).matching("tx-77", None),
    lambda tx: PaymentQueries(tx).matching(str(UUID(int=77)), "usr-456"),
    lambda tx: PostgresLedger(tx).entries(UUID(int=77)),
    lambda tx: page_of_payments(tx, UUID(int=77), 5),
    lambda tx: PaymentQueries(tx).answers([{"user_id": "usr-456", "idempotency_key": "key-77"}]),
)


async def test_rows_read_by_a_frequent_check_and_by_a_look_up_do_not_grow_with_history(world):
    await world.add_history(1, 1_000)
    await check(world)
    before = await rows_read_by_a_frequent_check(world)

    await world.add_history(1_001, 10_000)
    await check(world)

    assert await rows_read_by_a_frequent_check(world) <= before + RANGES_ROWS
    for look_up in LOOK_UPS:
        async with world.database.transaction() as tx:
            counting = CountingTransaction(tx)
            assert await look_up(counting)
            assert counting.read <= 10


async def confirmed(world):
    request = first_request()
    await world.take(request)
    (payment,) = [
        one for one in await world.payments() if one.transaction_id == request.transaction_id
    ]
    await world.take(assessed(payment))


BALANCE = "a balance differs from its transfers"
TRANSFERS = "transfers do not fit the payment's state"
IN_FLIGHT = "in-flight differs from what is not yet settled or returned"
UNLISTED = "a payment that is not over is not among the unfinished ones"
SUM = "balances do not sum to zero"


@pytest.mark.parametrize(
    ("fault", "found"),
    [
        ("update account set balance_minor = balance_minor - 7 where id = 'acc-1'", BALANCE),
        (
            "delete from transfer where kind = 'HOLD' and posted_at > now() - interval '1 h'",
            TRANSFERS,
        ),
        ("update account set balance_minor = balance_minor + 1 where id = 'acc-1'", SUM),
        ("delete from unfinished_payment", UNLISTED),
        ("update payment_state set settlement_status = 'REJECTED', updated_at = now()", TRANSFERS),
        (
            """update payment_state set settlement_status = 'SETTLED'
               where settlement_status = 'PENDING'""",
            IN_FLIGHT,
        ),
    ],
)
async def test_damage_after_a_full_check_is_found_by_the_next_frequent_check(world, fault, found):
    await world.add_history(1, 3)
    await world.plant(
        "update account set balance_minor = balance_minor - 3 where id = 'acc-1'",
        "insert into account (id, currency, balance_minor, minimum_minor)"
        " values ('clearing:USD', 'USD', 3, null), ('in-flight:USD', 'USD', 0, 0)",
    )
    assert await check(world) == []
    since = datetime.now(UTC) - timedelta(minutes=5)
    await confirmed(world)
    assert await check(world, since) == []

    await world.plant(fault)

    assert found in await check(world, since)
    assert found in await check(world, since)


async def test_damage_before_the_checkpoint_is_found_by_a_full_check(world):
    await world.add_history(1, 3)
    await world.plant(
        "update account set balance_minor = balance_minor - 3 where id = 'acc-1'",
        "insert into account (id, currency, balance_minor, minimum_minor)"
        " values ('clearing:USD', 'USD', 3, null), ('in-flight:USD', 'USD', 0, 0)",
        "update payment_state set settlement_status = 'REJECTED'",
        "update transfer set amount_minor = 2 where credit_account = 'clearing:USD'",
    )

    assert {TRANSFERS, BALANCE} <= set(await check(world))


@pytest.mark.parametrize(
    ("status", "after_s", "listed"),
    [
        ("SENT", 60.0, False),
        ("SENT", 0.0, True),
        ("UNKNOWN", 60.0, True),
        ("RECONCILE", 60.0, True),
        ("SETTLED", 0.0, False),
    ],
)
async def test_a_payment_at_its_bank_is_not_late_here_but_not_over_either(
    world, status, after_s, listed
):
    await confirmed(world)
    (payment,) = await world.payments()
    await world.take(settled(payment, status))
    await world.plant("update payment_state set updated_at = now() - interval '1 hour'")

    async with world.database.transaction() as tx:
        found = await findings(tx, after_s, None)

    assert [row["settlement_status"] for row in found["unfinished"]] == [status] * listed
