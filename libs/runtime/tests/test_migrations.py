"""Migrations wait for no lock for long, and an interrupted concurrent index is built again."""

import shutil
from uuid import UUID

import psycopg
import pytest

from service_runtime import migrations
from service_runtime.migrations import OWN, migrate
from testbed.database import fresh_database

pytestmark = pytest.mark.stack
NAME = "0002_index.sql"
INDEX = "-- outside a transaction\ncreate unique index concurrently if not exists {} on {} ({});"


@pytest.fixture
def folder(tmp_path, probe_database):
    yield tmp_path
    with psycopg.connect(probe_database.owner_dsn, autocommit=True) as owner:
        owner.execute("drop table if exists visit")
        owner.execute("delete from schema_migration where name like %s", (f"{tmp_path.name}/%",))


@pytest.fixture
def owner(probe_database):
    with psycopg.connect(probe_database.owner_dsn, autocommit=True) as connection:
        connection.execute("create table visit (id int)")
        yield connection


def is_valid(owner):
    found = owner.execute("select indisvalid from pg_index where indrelid = 'visit'::regclass")
    return [valid for (valid,) in found]


def test_an_interrupted_concurrent_index_is_dropped_and_built_again(folder, owner, probe_database):
    (folder / NAME).write_text(INDEX.format("visit_id", "visit", "id"))
    owner.execute("insert into visit values (1), (1)")
    with pytest.raises(psycopg.errors.UniqueViolation):
        migrate(probe_database.owner_dsn, "probe", [folder])
    assert is_valid(owner) == [False]
    owner.execute("delete from visit")
    assert migrate(probe_database.owner_dsn, "probe", [folder]) == [f"{folder.name}/{NAME}"]
    assert is_valid(owner) == [True]


def test_a_lock_that_is_held_is_asked_for_again_and_then_refused(
    folder, owner, probe_database, monkeypatch
):
    monkeypatch.setattr(migrations, "LOCK_TIMEOUT", "50ms")
    monkeypatch.setattr(migrations, "BETWEEN_TRIES_S", 0.01)
    monkeypatch.setattr(migrations, "TRIES", 3)
    (folder / NAME).write_text("alter table visit add column at timestamptz;")
    with owner.transaction():
        owner.execute("lock table visit in access share mode")
        with pytest.raises(psycopg.errors.LockNotAvailable):
            migrate(probe_database.owner_dsn, "probe", [folder])
    assert migrate(probe_database.owner_dsn, "probe", [folder]) == [f"{folder.name}/{NAME}"]


def test_a_file_that_fails_leaves_nothing_and_those_before_it_stay(folder, owner, probe_database):
    (folder / NAME).write_text("alter table visit add column at timestamptz;")
    (folder / "0003_bad.sql").write_text("alter table visit add column by text; select 1/0;")
    with pytest.raises(psycopg.errors.DivisionByZero):
        migrate(probe_database.owner_dsn, "probe", [folder])
    columns = owner.execute("select * from visit").description
    assert [column.name for column in columns] == ["id", "at"]


def test_a_file_of_a_library_is_included_where_its_line_stands(
    folder, owner, probe_database, monkeypatch
):
    (package := folder / "shelf").mkdir()
    (package / "__init__.py").touch()
    (package / "visits.sql").write_text("alter table visit add column at timestamptz;")
    monkeypatch.syspath_prepend(folder)
    column = "alter table visit add column {} int;\n"
    steps = (column.format("a"), "-- include shelf/visits.sql\n", column.format("b"))
    (folder / NAME).write_text("".join(steps))
    migrate(probe_database.owner_dsn, "probe", [folder])
    found = owner.execute("select * from visit").description
    assert [one.name for one in found] == ["id", "a", "at", "b"]


def test_an_inbox_of_event_ids_becomes_one_of_topics_and_ids(infrastructure, tmp_path, monkeypatch):
    """Requests for a code keep their ids; the other consumers' offsets replace theirs."""
    before = tmp_path / OWN.name
    before.mkdir()
    for path in sorted(OWN.glob("*.sql"))[:5]:
        shutil.copy(path, before)
    monkeypatch.setattr(migrations, "OWN", before)
    with (
        fresh_database(infrastructure, "probe") as database,
        psycopg.connect(database.owner_dsn, autocommit=True) as owner,
    ):
        add = "insert into inbox (consumer, event_id) values (%s, %s)"
        for consumer in ("otp", "audit"):
            owner.execute(add, (consumer, UUID(int=1)))
        monkeypatch.setattr(migrations, "OWN", OWN)
        applied = migrate(database.owner_dsn, "probe", [])

        assert "sql/0006_offsets_in_the_transaction.sql" in applied
        kept = owner.execute("select consumer, topic, event_id from inbox").fetchall()
        assert kept == [("otp", "otp.challenge-requested.v1", UUID(int=1))]
        assert owner.execute("select * from consumed").fetchall() == []
