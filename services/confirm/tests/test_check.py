"""The frequent check reads recent changes; the full check reads everything."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import psycopg
import pytest
from confirm_builders import assessed, first_request

from confirm.store.check import PostgresCheck
from confirm.store.records import PaymentQueries, page_of_payments
from testkit.plans import CountingTransaction

pytestmark = pytest.mark.stack

RANGES_ROWS = 5 * 2 * 3_500
"""Five statements use a block range index; each may read its last two ranges in full."""


@pytest.fixture
async def world(postgres_world):
    await postgres_world.plant("truncate ledger_checkpoint")
    await postgres_world.plant("update ledger_frontier set posted_before = '-infinity'")
    await postgres_world.open_account("acc-1", "usr-456", 1_000_000)
    return postgres_world


async def check(world, since=None):
    """Return the details of the violations."""
    async with world.database.transaction() as tx:
        await PostgresCheck(tx).advance(anew=since is None)
    async with world.database.transaction() as tx:
        found = await PostgresCheck(tx).findings(60.0, since)
    return [one["details"] for one in found["violations"]]


async def rows_read_by_a_frequent_check(world):
    """Return the number of rows that a check without new changes reads."""
    since = datetime.now(UTC) - timedelta(minutes=5)
    async with world.database.transaction() as tx:
        counting = CountingTransaction(tx)
        await PostgresCheck(counting).advance(anew=False)
    async with world.database.transaction() as tx:
        again = CountingTransaction(tx)
        await PostgresCheck(again).findings(60.0, since)
    return counting.read + again.read


async def add_history(world, first, last):
    """Add payments that were settled a day ago, with their journals and entries."""
    payments = f"generate_series({first}, {last}) as n"
    identity = "lpad(to_hex(n), 32, '0')::uuid"
    posted = "now() - interval '1 day' + n * interval '1 ms'"
    accounts = "(values ('acc-1', -1), ('clearing:USD', 1)) as half (account, amount)"
    await world.plant(
        f"""insert into payment (id, user_id, transaction_id, idempotency_key, amount_minor,
                currency, from_account, to_account, status, version, request_id, reply_partition,
                uetr, reference, created_at, updated_at, settlement_method, settlement_status,
                settlement_version, risk_score, challenge_number, challenge_over, answer_body)
            select {identity}, 'usr-456', 'tx-' || n, 'key-' || n, 1, 'USD', 'acc-1', 'payee',
                'CONFIRMED', 2, {identity}, 0, {identity}, 'ref-' || n, {posted}, {posted}, 'ACH',
                'SETTLED', 3, 1, 0, false, '' from {payments}""",  # noqa: S608
        f"""insert into journal (id, payment_id, kind, posted_at)
            select md5(kind || n)::uuid, {identity}, kind, {posted}
            from {payments}, unnest(array['HOLD', 'SETTLE']) as kind order by n""",  # noqa: S608
        f"""insert into entry (journal_id, account_id, amount_minor, currency)
            select md5(kind || n)::uuid, account, amount, 'USD'
            from {payments}, unnest(array['HOLD', 'SETTLE']) as kind, {accounts}""",  # noqa: S608
    )
    await vacuum(world)


async def vacuum(world):
    connection = await psycopg.AsyncConnection.connect(
        world.admin_dsn, options="-c search_path=confirm", autocommit=True
    )
    async with connection:
        await connection.execute("vacuum analyze payment, journal, entry, account")


LOOK_UPS = (
    lambda tx: PaymentQueries(tx).matching("tx-77", None),
    lambda tx: PaymentQueries(tx).matching(str(UUID(int=77)), "usr-456"),
    lambda tx: PaymentQueries(tx).entries(UUID(int=77)),
    lambda tx: page_of_payments(tx, UUID(int=77), 5),
    lambda tx: PaymentQueries(tx).answers([{"user_id": "usr-456", "idempotency_key": "key-77"}]),
)


async def test_rows_read_by_a_frequent_check_and_by_a_look_up_do_not_grow_with_history(world):
    await add_history(world, 1, 1_000)
    await check(world)
    before = await rows_read_by_a_frequent_check(world)

    await add_history(world, 1_001, 10_000)
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


BALANCE = "a balance differs from its entries"
JOURNALS = "journals do not fit the payment's state"
IN_FLIGHT = "in-flight differs from what is not yet settled or returned"
SUM = "a journal does not sum to zero"


@pytest.mark.parametrize(
    ("fault", "found"),
    [
        ("update account set balance_minor = balance_minor - 7 where id = 'acc-1'", BALANCE),
        (
            "delete from journal where kind = 'HOLD' and posted_at > now() - interval '1 h'",
            JOURNALS,
        ),
        ("update entry set amount_minor = amount_minor + 1 where amount_minor > 1", SUM),
        ("update payment set settlement_status = 'REJECTED', updated_at = now()", JOURNALS),
        ("update payment set settlement_status = 'SENT', updated_at = now()", JOURNALS),
        (
            "update payment set settlement_status = 'SETTLED' where settlement_status = 'PENDING'",
            IN_FLIGHT,
        ),
    ],
)
async def test_damage_after_a_full_check_is_found_by_the_next_frequent_check(world, fault, found):
    await add_history(world, 1, 3)
    await world.plant(
        "update account set balance_minor = balance_minor - 6 where id = 'acc-1'",
        "insert into account (id, currency, balance_minor, minimum_minor)"
        " values ('clearing:USD', 'USD', 6, null)",
    )
    assert await check(world) == []
    since = datetime.now(UTC) - timedelta(minutes=5)
    await confirmed(world)
    assert await check(world, since) == []

    await world.plant(fault)

    assert found in await check(world, since)
    assert found in await check(world, since)


async def test_damage_before_the_checkpoint_is_found_by_a_full_check(world):
    await add_history(world, 1, 3)
    await world.plant(
        "update account set balance_minor = balance_minor - 6 where id = 'acc-1'",
        "insert into account (id, currency, balance_minor, minimum_minor)"
        " values ('clearing:USD', 'USD', 6, null)",
        "update payment set settlement_status = 'REJECTED' where transaction_id = 'tx-1'",
        "update entry set amount_minor = 2 where account_id = 'clearing:USD'",
    )

    assert {JOURNALS, SUM, BALANCE} <= set(await check(world))


async def test_the_checkpoint_stays_before_a_posting_that_is_not_committed(world):
    """A journal has the time at which its transaction began."""
    await check(world)
    async with world.database.transaction() as posting:
        await posting.rows("select pg_sleep(0)")
        assert await check(world, datetime.now(UTC)) == []
        frontier = await world.rows("select posted_before < now() as is_past from ledger_frontier")
        began = await posting.rows("select now() as began")
    (found,) = await world.rows("select posted_before from ledger_frontier")
    assert frontier[0]["is_past"]
    assert found["posted_before"] <= began[0]["began"]
