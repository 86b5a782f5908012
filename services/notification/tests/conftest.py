"""Fixtures: notification on the memory twins and on PostgreSQL."""

import sys
from pathlib import Path

import pytest

from testbed.database import fresh_database

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

# notification_world is a module beside this file, in no package: the path comes first.
from notification_world import MemoryWorld, PostgresWorld, vault_in  # noqa: E402

from testbed.service import database_of  # noqa: E402
from testkit.events import NOON  # noqa: E402
from testkit.memory import MemoryDatabase, SteadyClock  # noqa: E402

FOLDERS = [HERE.parent / "migrations", HERE.parent / "development"]


@pytest.fixture(scope="session")
def notification_database(infrastructure):
    with fresh_database(infrastructure, "notification", FOLDERS) as database:
        yield database


@pytest.fixture
async def postgres_world(notification_database, tmp_path):
    async with database_of(notification_database.dsn, tmp_path) as database:
        world = PostgresWorld(
            SteadyClock(NOON), database, notification_database.owner_dsn, vault=vault_in(tmp_path)
        )
        await world.clear()
        yield world


@pytest.fixture
async def memory_world():
    clock = SteadyClock(NOON)
    return MemoryWorld(clock, MemoryDatabase(clock))


@pytest.fixture(params=["memory", pytest.param("postgres", marks=pytest.mark.stack)])
def world(request):
    return request.getfixturevalue(f"{request.param}_world")
