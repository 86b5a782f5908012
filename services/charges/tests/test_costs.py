"""Costs: to the cent, over ten thousand charges, by two readings of the tariffs and the ledger."""

from dataclasses import replace
from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path

import pytest

from charges.domain.charge import Charge, Status
from charges.domain.postings import capture_transfers, merchant
from charges.store import Charges, queries
from double_entry.rules import Transfer
from payment_schemas.money import Money
from service_runtime.clock import SystemClock, chance
from testbed.database import fresh_database
from testbed.service import database_of

pytestmark = pytest.mark.stack
COUNT, BATCH = 10_000, 500
PRICES = {
    # Share of the amount, and cents a charge: the published prices, read a second time.
    "stripe": (Fraction(29, 1000), {"USD": 30, "EUR": 25, "GBP": 20}),
    "adyen": (Fraction(26, 1000), {"USD": 13, "EUR": 11, "GBP": 10}),
}
CLOCK = SystemClock()
TODAY = datetime.now(UTC).date()


@pytest.fixture(scope="module")
def own_database(infrastructure):
    folder = Path(__file__).parents[1] / "migrations"
    with fresh_database(infrastructure, "charges", [folder]) as database:
        yield database


@pytest.fixture
async def database(own_database, tmp_path):
    async with database_of(own_database.dsn, tmp_path) as found:
        yield found


def cost_of(provider, money):
    share, fixed = PRICES[provider]
    exact = share * money.amount_minor + fixed.get(money.currency, 0)
    return min(money.amount_minor, int(exact + Fraction(1, 2)))


def captured(drawn):
    now = datetime.now(UTC)
    money = Money(
        drawn.choice([1, 13, 50, drawn.randrange(1, 10**7)]), drawn.choice(["USD", "EUR", "JPY"])
    )
    made = Charge(
        CLOCK.new_id(), "usr-costs", money, "tok_test", "a@example.com", now, None,
        status=Status.CAPTURED, provider=drawn.choice(["stripe", "adyen"]), review="LISTED",
    )  # fmt: skip
    return replace(made, captured_minor=money.amount_minor)


async def book(tx, charges, transfers=None):
    store = Charges(tx)
    for one in charges:
        await store.add(replace(one, status=Status.CREATED, captured_minor=0), {}, [])
    await store.save(charges)
    await store.post(transfers or [t for one in charges for t in capture_transfers(one, TODAY)])


async def test_the_fee_accounts_are_the_tariffs_to_the_cent_over_ten_thousand_charges(database):
    drawn, expected, charges = chance(11), {}, []
    for _ in range(COUNT):
        one = captured(drawn)
        charges.append(one)
        name = f"fees:{one.provider}:{one.money.currency}"
        expected[name] = expected.get(name, 0) + cost_of(one.provider, one.money)
    for start in range(0, COUNT, BATCH):
        async with database.transaction() as tx:
            await book(tx, charges[start : start + BATCH])
    async with database.transaction() as tx:
        rows = await tx.rows("select id, balance_minor from account where id like 'fees:%%'")
        found = await queries.check(tx, None)
    assert {row["id"]: row["balance_minor"] for row in rows} == expected
    assert found.violations == []


@pytest.mark.parametrize("off", [-1, 1])
async def test_a_cost_that_is_a_cent_off_is_found(database, off):
    one = replace(
        captured(chance(12)), provider="stripe", money=Money(1_000, "USD"), captured_minor=1_000
    )
    transfers = [
        Transfer(
            one.id, "CAPTURE", "equity:stripe:USD", merchant("usr-costs", "USD"), 1_000, "USD"
        ),
        Transfer(one.id, "FEE", "equity:costs:USD", "fees:stripe:USD", 59 + off, "USD"),
    ]
    async with database.transaction() as tx:
        await book(tx, [one], transfers)
        found = await queries.check(tx, None)
    (violation,) = [row for row in found.violations if row["payment_id"] == one.id]
    assert violation["invariant"] == "I3"
    assert "tariff" in violation["details"]
