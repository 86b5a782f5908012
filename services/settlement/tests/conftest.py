"""Fixtures of settlement: its stores and workers, in memory and in PostgreSQL."""

import sys
from pathlib import Path

import pytest

from testbed.database import fresh_database

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

# The builders are beside this file and in no package, so their imports need the path above.
from settlement_builders import NOW  # noqa: E402
from settlement_world import MemoryWorld, PostgresWorld  # noqa: E402

from testbed.service import database_of  # noqa: E402
from testkit.memory import MemoryDatabase, SteadyClock  # noqa: E402


@pytest.fixture(scope="session")
def settlement_database(infrastructure):
    with fresh_database(infrastructure, "settlement", [HERE.parent / "migrations"]) as database:
        yield database


@pytest.fixture
async def postgres_world(settlement_database, tmp_path):
    async with database_of(settlement_database.dsn, tmp_path) as database:
        world = PostgresWorld(SteadyClock(NOW), database, settlement_database.owner_dsn)
        await world.clear()
        yield world


@pytest.fixture
async def memory_world():
    clock = SteadyClock(NOW)
    return MemoryWorld(clock, MemoryDatabase(clock))


@pytest.fixture(params=["memory", pytest.param("postgres", marks=pytest.mark.stack)])
def world(request):
    return request.getfixturevalue(f"{request.param}_world")
