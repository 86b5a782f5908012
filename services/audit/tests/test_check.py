"""The check of every minute reads recent entries only, independent of the log's size."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest

from audit.store import queries
from service_runtime.postgres import PostgresDatabase
from testbed.database import fresh_database
from testbed.service import database_of
from testkit.plans import CountingTransaction

pytestmark = pytest.mark.stack
MIGRATIONS = Path(__file__).parents[1] / "migrations"

RANGES_ROWS = 2 * 2 * 3_500
"""Two statements use a block range index and may read its last two ranges whole."""
OLD = """
    insert into audit_entry (event, payment_id, tx_id, user_id, metadata, created_at, recorded_at,
                           event_id, topic, "partition", "offset")
    select event, lpad(to_hex(n), 32, '0')::uuid, 'tx', 'usr', metadata::jsonb, moment, moment,
           md5(event || n)::uuid, 'topic', 0, n
    from generate_series(%(first)s::int, %(last)s::int) as n,
         (values ('PAYMENT_REQUESTED', '{"version": 1}'), ('RISK_ASSESSED', '{}'),
                 ('PAYMENT_DECLINED', '{"version": 2}')) as entry (event, metadata),
         lateral (select now() - interval '1 day' + n * interval '1 ms' as moment) as of
    order by n"""


@pytest.fixture
async def own_log(infrastructure, tmp_path):
    """A separate log for this test, because rows cannot be deleted."""
    with fresh_database(infrastructure, "audit", [MIGRATIONS]) as fresh:
        async with database_of(fresh.dsn, tmp_path) as database:
            yield database, fresh.owner_dsn


def add_history(dsn, first, last):
    with psycopg.connect(dsn, autocommit=True) as owner:
        owner.execute(OLD, {"first": first, "last": last})
        # As rows of before the log had trees: they were appended without leaves.
        owner.execute("update audit_history set last_id = (select max(id) from audit_entry)")
        owner.execute("vacuum analyze audit_entry")


async def rows_read(database: PostgresDatabase, since):
    now = datetime.now(UTC)
    async with database.transaction() as tx:
        counting = CountingTransaction(tx)
        found = await queries.check(counting, since, now)
    assert found.violations == []
    return counting.read


async def test_the_rows_that_the_check_of_every_minute_reads_do_not_grow_with_the_log(own_log):
    database, dsn = own_log
    add_history(dsn, 1, 1_000)
    since = datetime.now(UTC) - timedelta(minutes=5)
    before = await rows_read(database, since)

    add_history(dsn, 1_001, 10_000)

    assert await rows_read(database, since) <= before + RANGES_ROWS
    assert await rows_read(database, queries.EVERYTHING) > 2 * 30_000
