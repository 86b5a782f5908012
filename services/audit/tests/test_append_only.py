"""Changes that the database refuses to every role."""

from uuid import uuid4

import psycopg
import pytest

from service_runtime.postgres import json_rows

pytestmark = pytest.mark.stack

INSERT = """insert into audit_entry
                (event, metadata, created_at, event_id, topic, "partition", "offset")
            values ('KEY_ROTATED', '{}', now(), gen_random_uuid(), 'audit.recorded.v1', 0, 0)"""
CHANGES = [
    "update audit_entry set event = 'NOTHING'",
    "delete from audit_entry",
    "truncate audit_entry",
    "update audit_entry set event = 'NOTHING' where false",
]


def row(**fields):
    return {
        "event": "KEY_ROTATED",
        "metadata": {},
        "created_at": "2026-03-02T12:00:00+00:00",
        "event_id": uuid4(),
        "topic": "audit.recorded.v1",
        "partition": 0,
        "offset": 0,
        **fields,
    }


def append(connection, *rows):
    connection.execute("select append_entries(%s::json)", (json_rows(rows),))


@pytest.fixture
def as_service(audit_database):
    with psycopg.connect(audit_database.dsn) as connection:
        yield connection
        connection.rollback()


@pytest.fixture
def as_owner(audit_database):
    with psycopg.connect(audit_database.owner_dsn) as connection:
        yield connection
        connection.rollback()


@pytest.fixture
def as_admin(audit_database):
    with psycopg.connect(audit_database.admin_dsn) as connection:
        connection.execute("set search_path to audit")
        yield connection
        connection.rollback()


@pytest.mark.parametrize("change", [INSERT, *CHANGES])
def test_the_service_can_append_with_the_function_and_change_nothing(as_service, change):
    append(as_service, row())
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        as_service.execute(change)


@pytest.mark.parametrize("change", CHANGES)
def test_the_owner_cannot_change_a_row(as_owner, change):
    as_owner.execute(INSERT)
    with pytest.raises(psycopg.errors.InsufficientPrivilege, match="append-only"):
        as_owner.execute(change)


@pytest.mark.parametrize("change", CHANGES)
def test_a_superuser_in_replica_mode_cannot_change_a_row(as_admin, change):
    as_admin.execute("set session_replication_role = replica")
    with pytest.raises(psycopg.errors.InsufficientPrivilege, match="append-only"):
        as_admin.execute(change)


def test_another_service_cannot_append(as_admin):
    as_admin.execute("set role risk")
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        as_admin.execute("select audit.append_entries('[]')")


def test_the_function_ignores_a_temporary_table_of_the_same_name(as_service):
    as_service.execute("create temporary table audit_entry (like audit.audit_entry)")
    append(as_service, row(event="NOT_REDIRECTED"))

    written = "select count(*) from audit.audit_entry where event = 'NOT_REDIRECTED'"

    assert as_service.execute(written).fetchone() == (1,)


@pytest.mark.parametrize(
    "fields",
    [
        {"event": "lower"},
        {"event": None},
        {"metadata": []},
        {"partition": -1},
        {"offset": -1},
        {"event_id": None},
        {"created_at": None},
        {"payment_id": uuid4()},
        {"tx_id": "tx-1"},
        {"payment_id": uuid4(), "tx_id": "has space", "user_id": "usr-1"},
        {"payment_id": uuid4(), "tx_id": "tx-1", "user_id": ""},
    ],
)
def test_the_tables_constraints_refuse_invalid_entries(as_service, fields):
    with pytest.raises(psycopg.IntegrityError):
        append(as_service, row(**fields))
