"""Every statement of the log reads by key or by a range of time, at 100,000 rows."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest

from audit.domain import Origin, RawEvent
from audit.store import PostgresAuditLog, queries
from payment_schemas.events.risk import RiskAssessed
from service_runtime.paging import START
from testbed.database import fresh_database
from testbed.service import database_of
from testkit.events import NOON, PAYMENT, event_of
from testkit.plans import multiply, planning

pytestmark = pytest.mark.stack
MIGRATIONS = Path(__file__).parents[1] / "migrations"
ROWS = 100_000


async def test_no_statement_scans_the_log(infrastructure, tmp_path):
    value = event_of(RiskAssessed).model_dump_json().encode()
    first = RawEvent(RiskAssessed, PAYMENT, value), Origin(uuid4(), NOON, RiskAssessed.topic, 0, 0)
    since = datetime.now(UTC) - timedelta(minutes=5)
    with fresh_database(infrastructure, "audit", [MIGRATIONS]) as fresh:
        async with database_of(fresh.dsn, tmp_path) as database:
            async with database.transaction() as tx:
                await PostgresAuditLog(tx).append_raw([first])
            with psycopg.connect(fresh.owner_dsn, autocommit=True) as owner:
                multiply(
                    owner,
                    "audit_entry",
                    ROWS,
                    event_id="gen_random_uuid()",
                    payment_id="gen_random_uuid()",
                    recorded_at="now() - n * interval '1 s'",
                )
                owner.execute("vacuum analyze audit_entry")
            async with database.transaction() as tx:
                planned, connection = planning(tx)
                await PostgresAuditLog(planned).append_raw([first])
                await PostgresAuditLog(planned).timeline(PAYMENT)
                await queries.events(planned, PAYMENT)
                await queries.timelines(planned, START, 500)
                await queries.check(planned, since, datetime.now(UTC))

    assert (connection.explained, connection.slow) == (7, [])
