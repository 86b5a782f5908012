"""Fixtures of confirm's tests: its tables, in memory and in PostgreSQL."""

import sys
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest

from testbed.database import fresh_database
from testbed.service import database_of
from testkit.events import NOON
from testkit.memory import MemoryDatabase, SteadyClock

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

# The builders are modules beside this file, so the path must be set first.
from confirm_world import MemoryWorld, PostgresWorld  # noqa: E402


@pytest.fixture(scope="session")
def confirm_database(infrastructure):
    with fresh_database(infrastructure, "confirm", [HERE.parent / "migrations"]) as database:
        yield database


@pytest.fixture
async def postgres_world(confirm_database, tmp_path):
    async with database_of(confirm_database.dsn, tmp_path) as database:
        # Deadlines are compared with the database's own clock.
        clock = SteadyClock(datetime.now(UTC))
        world = PostgresWorld(clock, database, confirm_database.admin_dsn)
        world.refused = (psycopg.errors.RaiseException, psycopg.IntegrityError)
        await world.clear()
        yield world


@pytest.fixture
async def memory_world():
    clock = SteadyClock(NOON)
    return MemoryWorld(clock, MemoryDatabase(clock))


@pytest.fixture(params=["memory", pytest.param("postgres", marks=pytest.mark.stack)])
def world(request):
    """Confirm's tables: the same tests run in memory and in PostgreSQL."""
    return request.getfixturevalue(f"{request.param}_world")
