"""Every statement of risk's event path reads by key, at 100,000 rows a table."""

from datetime import timedelta
from pathlib import Path

import psycopg
import pytest

from risk.domain import Assessed, History, Waiting, assess
from risk.store import PostgresAssessments, SuccessfulPayment, Window, assessment_table
from testbed.database import fresh_database
from testbed.service import database_of
from testkit.plans import multiply, planning

pytestmark = pytest.mark.stack
MIGRATIONS = Path(__file__).parents[1] / "migrations"
ROWS = 100_000


@pytest.fixture
async def large(infrastructure, tmp_path):
    with fresh_database(infrastructure, "risk", [MIGRATIONS]) as fresh:
        async with database_of(fresh.dsn, tmp_path) as database:
            yield database, fresh.owner_dsn


def fill(dsn):
    with psycopg.connect(dsn, autocommit=True) as owner:
        multiply(owner, "assessment", ROWS, id="gen_random_uuid()")
        multiply(owner, "recent_payment", ROWS, payment_id="gen_random_uuid()", user_id="'u' || n")
        multiply(owner, "known_payee", ROWS, user_id="'u' || n")
        multiply(owner, "known_country", ROWS, user_id="'u' || n")


async def test_no_statement_scans_a_table(large, build):
    database, owner_dsn = large
    window = Window(build.now - timedelta(minutes=10), 6)
    paid = SuccessfulPayment(build.request().payment_id, "usr-1", "payee-1", "DE", build.now)
    result = assess(build.request(), build.evidence(), History(True, True, 0), build.policy)
    assessed = Assessed(build.request(), result, build.now)
    async with database.transaction() as tx:
        await PostgresAssessments(tx).add([assessed])
        await PostgresAssessments(tx).add_payments([paid])
    fill(owner_dsn)

    async with database.transaction() as tx:
        planned, connection = planning(tx)
        store, table = PostgresAssessments(planned), assessment_table()
        await store.histories([build.request()], window)
        await store.add([Waiting(build.request("tx-2"), build.now, ())])
        await store.save([assessed])
        await store.add_payments([paid])
        due = await table.claim(planned, 100, 10.0)
        await table.still_mine(planned, due)

    assert (connection.explained, connection.slow) == (6, [])
