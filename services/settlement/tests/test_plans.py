"""Reconciliation reads by key, even with plans that were made on empty tables."""

import pytest
from settlement_builders import NOW, instruction

from payment_schemas.money import Money
from service_runtime.postgres import PostgresTransaction
from settlement.domain.statements import Reading, StatementEntry

pytestmark = pytest.mark.stack


class PlanningTransaction(PostgresTransaction):
    """A transaction that explains each statement before running it."""

    def __init__(self, tx):
        super().__init__(tx.connection, tx.owner)
        self.plans = []

    async def rows(self, statement, **parameters):
        await self._explain(statement, parameters)
        return await super().rows(statement, **parameters)

    async def run(self, statement, **parameters):
        await self._explain(statement, parameters)
        await super().run(statement, **parameters)

    async def _explain(self, statement, parameters):
        if "advisory" not in statement:
            cursor = await self.connection.execute(f"explain {statement}", parameters)
            self.plans.append("\n".join(row["QUERY PLAN"] for row in await cursor.fetchall()))


async def test_a_page_of_a_statement_looks_up_each_uetr_by_key(postgres_world):
    await postgres_world.clear()
    await postgres_world.execute("analyze instruction, booking, reconciliation_case")
    uetr = instruction().uetr
    bookings = Reading("first-bank", NOW.date()).bookings([StatementEntry(uetr, Money(1, "USD"))])

    async with postgres_world.database.transaction() as tx:
        planning = PlanningTransaction(tx)
        cases = postgres_world.cases(planning)
        await cases.instructions_of([uetr])
        await cases.add_bookings(bookings)
        await cases.booked("first-bank", [uetr])
        await cases.about("first-bank", [uetr])

    assert len(planning.plans) == 5
    for plan in planning.plans:
        assert "Join Filter" not in plan, plan
