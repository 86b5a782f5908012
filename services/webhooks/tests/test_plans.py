"""Every statement of the path of a delivery reads by key, at 40,000 rows a table."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import psycopg
import pytest
from webhooks_world import OWNER, change

from testbed.database import fresh_database
from testbed.service import database_of
from testkit.events import NOON
from testkit.plans import multiply, planning
from webhooks.domain.attempts import Attempt, Status, after_attempts
from webhooks.domain.events import message_of, state_of
from webhooks.store import Deliveries, Ended, Endpoint, Endpoints, lane_table, queries

pytestmark = pytest.mark.stack
MIGRATIONS = Path(__file__).parents[1] / "migrations"
ROWS = 40_000
ENDPOINT = Endpoint(UUID(int=7), OWNER, "https://a.com", "", ["payment.confirmed"], "hmac-sha256")
UNTIL = NOON + timedelta(days=1)


@pytest.fixture
async def large(infrastructure, tmp_path):
    with fresh_database(infrastructure, "webhooks", [MIGRATIONS]) as fresh:
        async with database_of(fresh.dsn, tmp_path) as database:
            async with database.transaction() as tx:
                await Endpoints(tx).add(ENDPOINT)
            yield database, fresh.owner_dsn


def fill(dsn):
    with psycopg.connect(dsn, autocommit=True) as owner:
        new = "gen_random_uuid()"
        multiply(owner, "delivery", ROWS, id=new, status="'DELIVERED'", due_at="null")
        multiply(owner, "payment_state", ROWS, payment_id=new)
        multiply(owner, "endpoint", ROWS, id=new, user_id="'u' || n")


async def work(tx):
    """Run every statement of handlers and lanes."""
    store, event = Deliveries(tx), change("planned")
    await store.know([state_of(event)])
    await store.endpoints_of([OWNER])
    await store.add([(message_of(ENDPOINT.id, event, "payment.confirmed"), ())], UNTIL)
    due = await lane_table(is_fast=False).claim(tx, 10, 10.0)
    rows = [item.row for item in due]
    await store.shipments(rows)
    health = await store.lock_health([ENDPOINT.id])
    attempt = Attempt(20, 200)
    done = [replace(item.row.delivery, status=Status.DELIVERED, due_at=None) for item in due]
    await store.save(
        [Ended(item.row, item.epoch, one, attempt) for item, one in zip(due, done, strict=True)]
    )
    after = after_attempts(health[ENDPOINT.id][1], [attempt], NOON)
    await store.save_health({ENDPOINT.id: (replace(after, is_fast=False), None)})
    await store.page(ENDPOINT.id, None, (NOON, UUID(int=0)), 10)
    await Endpoints(tx).found(ENDPOINT.id, OWNER)
    await queries.endpoints(tx, UUID(int=0), 10)


async def test_no_statement_scans_a_table(large):
    database, owner_dsn = large
    async with database.transaction() as tx:
        await work(tx)
    fill(owner_dsn)

    async with database.transaction() as tx:
        planned, connection = planning(tx)
        await work(planned)

    assert connection.explained >= 9
    assert connection.slow == []
