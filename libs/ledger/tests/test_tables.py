"""What PostgreSQL refuses: the role's statements and columns, changes by the owner; and locks."""

import asyncio

import psycopg
import pytest
from ledger_builders import ACCOUNT, INTERNAL, balances, charge, funded, post

from double_entry.rules import Account, Ledger

pytestmark = pytest.mark.stack

CHANGE = "update {1} set {0} = {0}"
DELETIONS = ["delete from transfer", "truncate transfer"]
COLUMNS = [
    "source_id",
    "kind",
    "debit_account",
    "credit_account",
    "amount_minor",
    "currency",
    "posted_at",
]


@pytest.mark.parametrize("change", [CHANGE.format("kind", "transfer"), *DELETIONS])
async def test_transfers_are_append_only_even_for_their_owner(
    postgres_purse, purse_database, change
):
    await funded(postgres_purse)

    async with await psycopg.AsyncConnection.connect(purse_database.owner_dsn) as owner:
        with pytest.raises(psycopg.errors.RaiseException, match="transfer is append-only"):
            await owner.execute(change)


@pytest.mark.parametrize(
    "statement",
    [
        *[CHANGE.format(column, "transfer") for column in COLUMNS],
        *DELETIONS,
        *[CHANGE.format(one, "account") for one in ("id", "owner", "currency", "minimum_minor")],
        "delete from account",
        "truncate account",
        "insert into account (id, currency, balance_minor) values ('purse-2', 'EUR', 1)",
        "insert into transfer (posted_at) values ('-infinity')",
        "delete from ledger_frontier",
    ],
)
async def test_the_service_role_may_change_balances_and_nothing_else(postgres_purse, statement):
    await funded(postgres_purse)

    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        await postgres_purse.rows(statement)


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        ({"amount_minor": 0}, "amount_minor"),
        ({"amount_minor": -1}, "amount_minor"),
        ({"account": "sales:EUR"}, "transfer_check"),
        ({"kind": "GIFT"}, "transfer_kind"),
    ],
)
async def test_the_database_refuses_a_transfer_that_the_rules_refuse(
    postgres_purse, broken, message
):
    row = {"account": "purse-1", "amount_minor": 1, "kind": "CHARGE", **broken}

    with pytest.raises(psycopg.errors.CheckViolation, match=message):
        await postgres_purse.rows(
            """insert into transfer
                   (source_id, kind, debit_account, credit_account, amount_minor, currency)
               values (gen_random_uuid(), %(kind)s, %(account)s, 'sales:EUR', %(amount_minor)s,
                       'EUR') returning kind""",
            **row,
        )


async def test_two_instances_that_open_an_internal_account_at_once_both_succeed(postgres_purse):
    purse = await funded(postgres_purse)
    async with purse.stored() as store:
        await store.open_accounts([Account("purse-2", "usr-2", "EUR", 0)])
        ledger = Ledger(await store.lock_accounts(["purse-2"]), INTERNAL)
    await post(purse, charge(9, 1))
    await purse.plant("delete from account where id = 'sales:EUR'", "delete from transfer")

    async with asyncio.timeout(10):
        await asyncio.gather(*[post(purse, charge(number, 1)) for number in range(1, 9)])

    assert ledger.accounts["purse-2"].owner == "usr-2"
    assert (await balances(purse))["sales:EUR"] == 8


async def test_a_concurrent_transaction_waits_for_a_locked_account(postgres_purse):
    purse = await funded(postgres_purse)
    async with purse.stored() as store:
        ledger = Ledger(await store.lock_accounts(["purse-1"]), INTERNAL)
        other = asyncio.create_task(post(purse, charge(2, 80_00)))
        ledger.post(charge(1, 30_00))
        await store.post(ledger)

    with pytest.raises(psycopg.errors.CheckViolation):
        await other

    assert (await balances(purse))["purse-1"] == 70_00
    assert ACCOUNT.minimum_minor == 0
