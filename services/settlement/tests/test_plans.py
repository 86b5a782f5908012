"""Statements read by key, even with plans that were made on empty tables."""

from pathlib import Path

import psycopg
import pytest
from settlement_builders import NOW, instruction, kafka_partner

from payment_schemas.money import Money
from service_runtime.messages import Record
from service_runtime.paging import START
from service_runtime.postgres import PostgresTransaction
from service_runtime.work_table import PostgresWorkTable
from settlement.domain.statements import Reading, StatementEntry
from settlement.store import (
    DUE_PUBLICATIONS,
    TABLE,
    NewInstruction,
    PostgresCases,
    PostgresInstructions,
    PostgresReplays,
    Replay,
    instruction_of,
    overview,
    queries,
    waiting,
)
from testbed.database import fresh_database
from testbed.service import database_of
from testkit.plans import CountingTransaction, multiply, planning

pytestmark = pytest.mark.stack
MIGRATIONS = Path(__file__).parents[1] / "migrations"
ROWS = 100_000
PLACE = ("settlement-queue", 0)


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


@pytest.fixture
async def large(infrastructure, tmp_path):
    with fresh_database(infrastructure, "settlement", [MIGRATIONS]) as fresh:
        async with database_of(fresh.dsn, tmp_path) as database:
            yield database, fresh.owner_dsn


async def work(tx):
    """Run every statement of the event path and of the workers."""
    store, row = PostgresInstructions(tx), instruction()
    table = PostgresWorkTable(
        TABLE, instruction_of, {"partner": row.partner, "next_step": row.next_step}
    )
    await tx.next_offsets("settlement")
    await tx.place_offsets("settlement", {PLACE: 0}, {PLACE: 9})
    record = Record(*PLACE, 0, 0, None, None, ())
    await tx.raise_offsets("settlement", [record], are_handled=True)
    await store.add([NewInstruction(row)])
    due = await table.claim(tx, 100, 10.0)
    await store.begin([item.row for item in due] or [row])
    await table.still_mine(tx, due)
    epochs = {item.cause.id: item.epoch for item in due} or {row.payment_id: 0}
    await store.save([item.row for item in due] or [row], epochs)
    await work_by_kafka(tx, store)


async def work_by_kafka(tx, store):
    """Run every statement of the instructions and reports of banks on Kafka."""
    row, partners = instruction(), store.partners
    if not await partners.profiles():
        await partners.add(kafka_partner(row.partner))
    await partners.hold([row.partner])
    await PostgresWorkTable(TABLE, instruction_of, due=DUE_PUBLICATIONS).claim(tx, 100, 10.0)
    await store.lock([row.uetr])
    await store.save_reported([row])
    replays = PostgresReplays(tx)
    replay = Replay(row.partner, "an operator", NOW, NOW, row.payment_id)
    await replays.begin(replay)
    await replays.due(0.0)
    await replays.next(replay, 200)
    await replays.save(replay, is_finished=True)
    await waiting(tx)
    day = NOW.date()
    await overview.statement_days(tx, [row.partner], day, day)
    await overview.cases_of_day(tx, row.partner, day, (NOW, row.payment_id), 10)
    await overview.activity(tx, [row.partner])
    await queries.open_by_partner(tx)
    await queries.search(tx, row.partner, (queries.EVERYTHING, START), 50)
    await queries.find(tx, row.payment_id, row.uetr)
    await store_cases(tx)


async def store_cases(tx):
    """Run the statements of the pages of cases."""
    store = PostgresCases(tx)
    await store.find(limit=50)
    await store.find(instruction().payment_id)
    await store.unresolved([instruction().uetr])


async def test_no_statement_of_a_transfer_scans_a_table(large):
    database, owner_dsn = large
    async with database.transaction() as tx:
        await work(tx)
    with psycopg.connect(owner_dsn, autocommit=True) as owner:
        multiply(owner, TABLE, ROWS, id="gen_random_uuid()", uetr="gen_random_uuid()")
        multiply(owner, "consumed", 1000, topic="'t' || n")

    async with database.transaction() as tx:
        planned, connection = planning(tx)
        await work(planned)

    assert connection.explained >= 20
    assert connection.slow == []


async def test_a_banks_few_open_transfers_are_found_beside_many_of_another(large):
    database, owner_dsn = large
    async with database.transaction() as tx:
        await PostgresInstructions(tx).add([NewInstruction(instruction())])
    with psycopg.connect(owner_dsn, autocommit=True) as owner:
        ids = {"id": "gen_random_uuid()", "uetr": "gen_random_uuid()"}
        partner = "case when n % 10000 = 0 then 'few' else 'stopped' end"
        parked = "case when n % 20000 = 0 then now() end"
        age = "t.created_at - n * interval '1 ms'"
        values = {**ids, "partner": partner, "parked_at": parked, "created_at": age}
        multiply(owner, TABLE, ROWS, **values)

    async with database.transaction() as tx:
        counting = CountingTransaction(tx)
        found = await queries.search(counting, "few", (queries.EVERYTHING, START), 50)
        assert len(found) == ROWS / 10_000
        assert counting.read <= 100
        page = await queries.search(counting, "stopped", (queries.EVERYTHING, START), 50)
        assert len(page) == 50
        assert counting.read <= 300 + queries.MOST_OF_PARTNER
