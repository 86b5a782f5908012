"""The check of the ledger's tables: each damage is found, and the checkpoint is never too far."""

from datetime import UTC, datetime, timedelta

import pytest
from ledger_builders import balances, charge, funded, post

from double_entry.check import RULES, LedgerCheck

pytestmark = pytest.mark.stack

BALANCE, ACCOUNTLESS, SUM = RULES


async def check(purse, *, anew=False):
    """Return the violated rules among the changes of the last minutes, or among all rows."""
    since = datetime.min.replace(tzinfo=UTC) if anew else datetime.now(UTC) - timedelta(minutes=5)
    async with purse.database.transaction() as tx:
        await LedgerCheck(tx).advance(anew=anew)
    async with purse.database.transaction() as tx:
        return {one["details"] for one in await LedgerCheck(tx).violations(since)}


@pytest.mark.parametrize(
    ("fault", "found"),
    [
        ("update account set balance_minor = 1 where id = 'purse-1'", {BALANCE, SUM}),
        (
            """update account set balance_minor = balance_minor + delta
               from (values ('purse-1', 1), ('sales:EUR', -1)) as wrong (name, delta)
               where id = name""",
            {BALANCE},
        ),
        ("delete from transfer where kind = 'CHARGE'", {BALANCE}),
        ("update transfer set amount_minor = amount_minor + 1 where kind = 'CHARGE'", {BALANCE}),
        (
            "insert into transfer values (gen_random_uuid(), 'LOAD', 'x', 'y', 1, 'EUR')",
            {ACCOUNTLESS},
        ),
        ("delete from account where id = 'sales:EUR'", {ACCOUNTLESS, SUM}),
    ],
)
@pytest.mark.parametrize("anew", [False, True])
async def test_damage_is_found_by_a_recent_and_by_a_full_check(postgres_purse, fault, found, anew):
    purse = await funded(postgres_purse)
    await post(purse, charge())
    assert await check(purse, anew=anew) == set()

    await purse.plant(fault)

    assert await check(purse, anew=anew) == found


async def test_the_checkpoint_keeps_the_sums_of_earlier_transfers(postgres_purse):
    purse = await funded(postgres_purse)
    await purse.plant("update transfer set posted_at = posted_at - interval '1 hour'")
    assert await check(purse) == set()
    (kept,) = await purse.rows(
        "select balance_minor from ledger_checkpoint where account_id = 'purse-1'"
    )

    await purse.plant("delete from transfer")

    assert kept["balance_minor"] == (await balances(purse))["purse-1"] == 100_00
    assert await check(purse) == set()
    assert await check(purse, anew=True) == {BALANCE}


async def test_the_checkpoint_stays_before_a_transfer_that_is_not_committed(postgres_purse):
    """A transfer has the time at which its transaction began."""
    purse = postgres_purse
    await check(purse, anew=True)
    async with purse.database.transaction() as posting:
        await posting.rows("select pg_sleep(0)")
        assert await check(purse) == set()
        (began,) = await posting.rows("select now() as at")
    (found,) = await purse.rows("select posted_before as at from ledger_frontier")
    assert found["at"] <= began["at"]
