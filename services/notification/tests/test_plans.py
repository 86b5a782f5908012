"""Every statement of notification's event path reads by key, at 100,000 rows a table."""

from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from notification_world import CONTACT, challenged, vault_in

from notification.domain import code_delivery
from notification.store import TABLE, NewDelivery, PostgresContacts, PostgresDeliveries, delivery_of
from service_runtime.subjects import Subjects
from service_runtime.work_table import PostgresWorkTable
from testbed.database import fresh_database
from testbed.service import database_of
from testkit.events import NOON
from testkit.plans import multiply, planning

pytestmark = pytest.mark.stack
MIGRATIONS = Path(__file__).parents[1] / "migrations"
ROWS = 100_000


@pytest.fixture
async def large(infrastructure, tmp_path):
    with fresh_database(infrastructure, "notification", [MIGRATIONS]) as fresh:
        async with database_of(fresh.dsn, tmp_path) as database:
            yield database, fresh.owner_dsn


def fill(dsn):
    new = "gen_random_uuid()"
    with psycopg.connect(dsn, autocommit=True) as owner:
        multiply(owner, TABLE, ROWS, id=new, payment_id=new, challenge_id=new)
        multiply(owner, "challenge_over", ROWS, challenge_id=new)
        multiply(owner, "contact", ROWS, user_id="'u' || n")
        multiply(owner, "subject", ROWS, user_id="'u' || n", key_id=new)


async def work(tx, delivery, vault):
    """Run every statement of handlers and workers."""
    store = PostgresDeliveries(tx, vault)
    table = PostgresWorkTable(TABLE, delivery_of, {"channel": "sms"})
    await store.put_contacts([replace(CONTACT, user_id=f"usr-{uuid4()}")])
    await PostgresContacts(tx, vault).seal_older(100)
    await Subjects(tx).to_destroy(100)
    await Subjects(tx).readable("", 100)
    await store.add([NewDelivery(delivery)])
    await store.end_challenges({delivery.challenge_id})
    due = await table.claim(tx, 100, 10.0)
    await store.contacts([delivery.user_id])
    await store.siblings({delivery.payment_id})
    await store.ended_challenges({delivery.challenge_id})
    await table.still_mine(tx, due)
    await store.save([item.row for item in due] or [delivery])


async def test_no_statement_scans_a_table(large, tmp_path):
    vault = vault_in(tmp_path)
    database, owner_dsn = large
    delivery = code_delivery(challenged(), uuid4(), NOON)
    async with database.transaction() as tx:
        await work(tx, delivery, vault)
    fill(owner_dsn)

    async with database.transaction() as tx:
        planned, connection = planning(tx)
        await work(planned, delivery, vault)

    assert connection.explained >= 9
    assert connection.slow == []
