"""A database that the migrations up to 0004 made and an old version filled reads the same today."""

import shutil
from dataclasses import replace
from pathlib import Path
from uuid import UUID

import psycopg
import pytest
from confirm_builders import payment_in, uetr
from psycopg.types.json import Jsonb

from confirm.domain.payment import Status
from confirm.domain.requests import reference_of
from confirm.store import PostgresPayments
from confirm.store.check import findings
from double_entry.check import LedgerCheck
from payment_schemas.ids import payment_id_of
from service_runtime.migrations import migrate
from service_runtime.postgres import json_rows
from testbed.database import fresh_database
from testbed.service import database_of

pytestmark = pytest.mark.stack

MIGRATIONS = Path(__file__).parents[1] / "migrations"
OLD = [f"000{number}_*.sql" for number in range(1, 5)]
CLEARING = "clearing:first-bank:USD"
ENDED = {"SETTLED": ("SETTLE", CLEARING), "REJECTED": ("RETURN", "acc-1")}
SETTLEMENTS = ["PENDING", "SENT", "UNKNOWN", "RECONCILE", "SETTLED", "REJECTED"]
AMOUNT = 520_000
NEWER = ("instrument", "branch")
"""Columns that the old version did not have."""
OPENING = UUID(int=1)


def numbered(number, payment):
    """The payment as another transaction, with its own identifiers."""
    name = f"tx-{number}"
    return replace(
        payment,
        id=payment_id_of(payment.user_id, name),
        transaction_id=name,
        idempotency_key=f"key-{number}",
        uetr=uetr(number),
        reference=reference_of(uetr(number)),
    )


def old_payments():
    """A payment of every status, and of every status of settlement."""
    found = [payment_in(status) for status in Status if status is not Status.CONFIRMED]
    found += [
        payment_in(Status.CONFIRMED, settlement_status=one, settlement_version=2)
        for one in SETTLEMENTS
    ]
    return [numbered(number, payment) for number, payment in enumerate(found, 1)]


def old_journals(payments):
    """The journals of the payments and of the opening: kind, payment, debit, credit, amount."""
    found = [("OPEN", OPENING, "equity:opening:USD", "acc-1", 100 * AMOUNT)]
    for payment in payments:
        if payment.status is Status.CONFIRMED:
            found.append(("HOLD", payment.id, "acc-1", "in-flight:USD", AMOUNT))
            if payment.settlement_status in ENDED:
                kind, account = ENDED[payment.settlement_status]
                found.append((kind, payment.id, "in-flight:USD", account, AMOUNT))
    return found


def balances_of(journals):
    sums = {}
    for _, _, debit, credit, amount in journals:
        sums[debit] = sums.get(debit, 0) - amount
        sums[credit] = sums.get(credit, 0) + amount
    return sums


def fill(owner_dsn, payments, journals):
    """Write the rows as the old version did."""
    with psycopg.connect(owner_dsn) as owner:
        owner.execute("set search_path to confirm")
        for name, balance in balances_of(journals).items():
            user = "usr-456" if name == "acc-1" else None
            minimum = None if name.startswith("equity:") else 0
            owner.execute(
                "insert into account values (%s, %s, 'USD', %s, %s)", (name, user, balance, minimum)
            )
        columns = ", ".join(one for one in payments[0].__dataclass_fields__ if one not in NEWER)
        owner.execute(
            f"insert into payment ({columns}) select {columns}"  # noqa: S608 - names of fields
            " from json_populate_recordset(null::payment, %s::json)".encode(),
            (json_rows(payments),),
        )
        for kind, payment_id, debit, credit, amount in journals:
            owner.execute(
                """with one as (insert into journal (id, payment_id, kind)
                                values (gen_random_uuid(), %s, %s) returning id)
                   insert into entry select id, account, amount, 'USD' from one, (values
                       (%s, %s::bigint), (%s, %s::bigint)) as side (account, amount)""",
                (payment_id, kind, debit, -amount, credit, amount),
            )
        owner.execute(
            "insert into review_case (id, payment_id, reasons) values (gen_random_uuid(), %s, %s)",
            (payments[-1].id, Jsonb(["risk"])),
        )


@pytest.fixture
def old_database(infrastructure, tmp_path):
    folder = tmp_path / "migrations"
    folder.mkdir()
    for pattern in OLD:
        shutil.copy(next(MIGRATIONS.glob(pattern)), folder)
    with fresh_database(infrastructure, "confirm", [folder]) as database:
        yield database


async def test_what_an_old_version_stored_reads_the_same_after_the_migration(
    old_database, tmp_path
):
    payments = old_payments()
    journals = old_journals(payments)
    fill(old_database.owner_dsn, payments, journals)

    progress = []
    migrate(old_database.owner_dsn, "confirm", [MIGRATIONS], progress.append)

    assert progress == ["transfers: 100 %", "states of payments: 100 %"]
    async with database_of(old_database.dsn, tmp_path) as database:
        async with database.transaction() as tx:
            store = PostgresPayments(tx)
            stored, _ = await store.lock([payment.id for payment in payments])
            accounts = await store.accounts(list(balances_of(journals)))
            sources = [OPENING, *stored]
            entries = [one for source in sources for one in await store.entries(source)]
            reviews = await tx.rows("select payment_id, reasons from review_case")
            await LedgerCheck(tx).advance(anew=True)
        async with database.transaction() as tx:
            found = await findings(tx, 10**9, None)
    assert stored == {payment.id: payment for payment in payments}
    assert {name: one.balance_minor for name, one in accounts.items()} == balances_of(journals)
    sides = [(kind, debit, -amount) for kind, _, debit, _, amount in journals]
    sides += [(kind, credit, amount) for kind, _, _, credit, amount in journals]
    posted = [(one["kind"], one["account_id"], one["amount_minor"]) for one in entries]
    assert sorted(posted) == sorted(sides)
    assert reviews == [{"payment_id": payments[-1].id, "reasons": ["risk"]}]
    assert found["violations"] == []


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param("update entry set amount_minor = -1 where amount_minor < 0", id="unequal"),
        pytest.param("delete from entry where amount_minor < 0", id="one side"),
        pytest.param(
            "insert into entry select journal_id, 'acc-2', 1, 'USD' from entry limit 1", id="three"
        ),
    ],
)
async def test_a_journal_that_is_no_transfer_stops_the_migration_and_everything_stays(
    old_database, damage
):
    payments = old_payments()
    fill(old_database.owner_dsn, payments, old_journals(payments))
    with psycopg.connect(old_database.admin_dsn) as admin:
        admin.execute("set session_replication_role = replica")
        admin.execute("set search_path to confirm")
        admin.execute(damage)
        before = admin.execute("select count(*) from entry").fetchone()

    with pytest.raises(psycopg.errors.RaiseException, match="journals and transfers differ"):
        migrate(old_database.owner_dsn, "confirm", [MIGRATIONS])

    with psycopg.connect(old_database.owner_dsn) as owner:
        assert owner.execute("select count(*) from confirm.entry").fetchone() == before
        assert owner.execute("select to_regclass('confirm.transfer')").fetchone() == (None,)
