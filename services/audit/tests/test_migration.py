"""The log of before bytes were stored: its rows stay, and a replay adds none."""

import shutil
from pathlib import Path
from uuid import UUID

import psycopg
import pytest
from psycopg.rows import dict_row

from audit.domain import AUDITED, Origin, RawEvent, entry_of, is_raw
from audit.store import PostgresAuditLog, columns_of
from service_runtime.migrations import migrate
from service_runtime.postgres import PostgresTransaction, json_rows
from testbed.database import fresh_database
from testkit.events import NOON, event_of

pytestmark = pytest.mark.stack
MIGRATIONS = Path(__file__).parents[1] / "migrations"
COLUMNS = """id, event, payment_id, tx_id, user_id, reference, metadata, created_at, recorded_at,
    event_id, topic, "partition", "offset\""""


def origin_of(number, event):
    return Origin(UUID(int=number), NOON, event.topic, 0, number)


async def test_rows_of_before_stay_and_a_replay_of_their_events_adds_none(infrastructure, tmp_path):
    folder = tmp_path / MIGRATIONS.name
    folder.mkdir()
    for path in sorted(MIGRATIONS.glob("*.sql"))[:2]:
        shutil.copy(path, folder)
    with fresh_database(infrastructure, "audit", [folder]) as database:
        connection = await psycopg.AsyncConnection.connect(
            database.dsn, row_factory=dict_row, autocommit=True
        )
        async with connection:
            log = PostgresAuditLog(PostgresTransaction(connection, "audit.0"))
            old = [entry_of(event_of(one), origin_of(n, one)) for n, one in enumerate(AUDITED)]
            # As the log of then appended: without trees.
            rows = json_rows([columns_of(entry) for entry in old])
            await connection.execute("select append_entries(%s::json)", [rows])
            read = f"select {COLUMNS} from audit_log order by id"  # noqa: S608 - constants
            before = await (await connection.execute(read)).fetchall()

            migrate(database.owner_dsn, "audit", [MIGRATIONS])
            for number, event in enumerate(AUDITED):
                instance = event_of(event)
                if is_raw(event):
                    value = instance.model_dump_json().encode()
                    raw = RawEvent(event, instance.payment_id, value)
                    await log.append_raw([(raw, origin_of(number, event))])
                else:
                    await log.append([entry_of(instance, origin_of(number, event))])

            assert await (await connection.execute(read)).fetchall() == before
            assert len(before) == len(AUDITED)
