"""A search of charges reads an index, whatever it is for, at 20,000 charges."""

from datetime import timedelta
from pathlib import Path
from uuid import UUID

import psycopg
import pytest

from charges.store import Reading
from service_runtime.clock import SystemClock
from testbed.database import fresh_database
from testbed.service import database_of
from testkit.plans import CountingTransaction

pytestmark = pytest.mark.stack
MIGRATIONS = Path(__file__).parents[1] / "migrations"
ROWS = 20_000
CHARGES = """
insert into charge (id, user_id, amount_minor, currency, source, email, status, goal, next_step,
    review, may_retry, provider, attempt, tries, version, captured_minor, created_at)
select gen_random_uuid(), 'usr-' || n %% 100, 1000, 'USD', 'tok', '', 'CAPTURED', 'CAPTURE',
       'ENQUIRE', 'APPROVED', true, 'stripe', 1, 0, 3, 1000, now() - n * interval '1 second'
from generate_series(1, %s) as n"""
FILTERS = (
    {},
    {"user_id": "usr-7"},
    {"user_id": "usr-unknown"},
    {"status": "CAPTURED"},
    {"status": "UNKNOWN"},
    {"status": "DECLINED", "provider": "adyen"},
)


async def test_a_search_of_charges_reads_what_it_returns(infrastructure, tmp_path):
    end = (SystemClock().now() + timedelta(days=1), UUID(int=0))
    with fresh_database(infrastructure, "charges", [MIGRATIONS]) as fresh:
        with psycopg.connect(fresh.owner_dsn, autocommit=True) as owner:
            owner.execute(CHARGES, (ROWS,))
            owner.execute("analyze charge")
        async with database_of(fresh.dsn, tmp_path) as database, database.transaction() as tx:
            counting = CountingTransaction(tx)
            found = [len(await Reading(counting).charges(end, 50, **only)) for only in FILTERS]
    assert found == [50, 50, 0, 50, 0, 0]
    assert counting.read == sum(found)
