"""The same tests for the ledger in memory and in PostgreSQL: posted and refused transfers."""

import pytest
from ledger_builders import ACCOUNT, balances, charge, funded, load, post, post_all

from double_entry.rules import Account, Ledger

AFTER_FUNDING = {"purse-1": 100_00, "equity:cards:EUR": -100_00}


async def test_transfers_change_balances_and_open_internal_accounts(purse):
    await funded(purse)

    await post(purse, charge(1, 30_00))

    expected = {"purse-1": 70_00, "sales:EUR": 30_00, "equity:cards:EUR": -100_00}
    assert await balances(purse) == expected


async def test_the_transfers_of_a_batch_are_summed_for_each_balance(purse):
    await funded(purse)

    await post(purse, *[charge(number, 1) for number in range(1, 4)], load(2, 2))

    assert (await balances(purse))["purse-1"] == 100_00 - 1
    assert (await balances(purse))["sales:EUR"] == 3


async def test_a_source_has_each_transfer_once_and_a_repeat_posts_nothing_of_its_batch(purse):
    await funded(purse)
    await post(purse, charge(1, 1))

    with pytest.raises(purse.refused):
        await post(purse, charge(2, 1), charge(1, 1))

    assert (await balances(purse))["purse-1"] == 100_00 - 1


async def test_a_balance_never_falls_below_its_minimum(purse):
    await funded(purse)

    with pytest.raises(purse.refused):
        await post(purse, charge(amount_minor=100_01))

    assert await balances(purse) == AFTER_FUNDING


@pytest.mark.parametrize(
    ("transfer", "locked"),
    [
        pytest.param(charge(currency="USD"), "purse-1", id="another currency"),
        pytest.param(charge(account="purse-2"), "purse-2", id="an unknown account"),
    ],
)
async def test_a_transfer_that_finds_no_account_of_its_currency_is_refused(purse, transfer, locked):
    await funded(purse)
    ledger = Ledger({locked: ACCOUNT}, ("sales:",))
    ledger.post(transfer)

    with pytest.raises(purse.refused):
        await post_all(purse, ledger)

    assert await balances(purse) == AFTER_FUNDING


async def test_an_internal_account_whose_opening_was_rolled_back_is_opened_again(purse):
    await funded(purse)
    with pytest.raises(purse.refused):
        await post(purse, charge(1), charge(1))

    await post(purse, charge(1))

    assert (await balances(purse))["sales:EUR"] == 30_00


async def test_an_account_is_opened_once_and_keeps_its_owner(purse):
    other = Account("purse-1", "usr-2", "EUR", 0)

    async with purse.stored() as store:
        assert await store.open_accounts([ACCOUNT]) == {"purse-1"}
        assert await store.open_accounts([other]) == set()

    async with purse.stored() as store:
        assert await store.accounts(["purse-1", "purse-9"]) == {"purse-1": ACCOUNT}


async def test_nothing_to_post_writes_nothing(purse):
    await post(purse, locked=())

    assert await balances(purse) == {}
