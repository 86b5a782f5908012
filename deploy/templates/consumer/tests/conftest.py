from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg.rows import dict_row

from sample.store import MemoryEntries, PostgresEntries
from service_runtime.postgres import PostgresTransaction
from testbed.database import FreshDatabase, fresh_database
from testkit.events import NOON
from testkit.memory import MemoryDatabase, SteadyClock

MIGRATIONS = Path(__file__).parents[1] / "migrations"


@pytest.fixture(scope="session")
def database_of_sample(infrastructure) -> Iterator[FreshDatabase]:
    with fresh_database(infrastructure, "sample", [MIGRATIONS]) as database:
        yield database


@pytest.fixture
async def postgres_entries(database_of_sample) -> AsyncIterator[PostgresEntries]:
    connection = await psycopg.AsyncConnection.connect(database_of_sample.dsn, row_factory=dict_row)
    async with connection:
        yield PostgresEntries(PostgresTransaction(connection, "sample.0"))
        await connection.rollback()


@pytest.fixture
async def memory_entries() -> AsyncIterator[MemoryEntries]:
    async with MemoryDatabase(SteadyClock(NOON)).transaction() as tx:
        yield MemoryEntries(tx)


@pytest.fixture(params=["memory", pytest.param("postgres", marks=pytest.mark.stack)])
def entries(request):
    return request.getfixturevalue(f"{request.param}_entries")
