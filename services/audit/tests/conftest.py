from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg.rows import dict_row

from audit.store import MemoryAuditLog, PostgresAuditLog
from service_runtime.postgres import PostgresTransaction
from testbed.database import FreshDatabase, fresh_database
from testkit.events import NOON
from testkit.memory import MemoryDatabase, SteadyClock

MIGRATIONS = Path(__file__).parents[1] / "migrations"


@pytest.fixture(scope="session")
def audit_database(infrastructure) -> Iterator[FreshDatabase]:
    with fresh_database(infrastructure, "audit", [MIGRATIONS]) as database:
        yield database


@pytest.fixture
async def audit_tx(audit_database) -> AsyncIterator[PostgresTransaction]:
    """A transaction that is rolled back at the end: nothing can delete rows of the log."""
    connection = await psycopg.AsyncConnection.connect(audit_database.dsn, row_factory=dict_row)
    async with connection:
        yield PostgresTransaction(connection, "audit.0")
        await connection.rollback()


@pytest.fixture
def postgres_log(audit_tx) -> PostgresAuditLog:
    return PostgresAuditLog(audit_tx)


@pytest.fixture
async def memory_log() -> AsyncIterator[MemoryAuditLog]:
    async with MemoryDatabase(SteadyClock(NOON)).transaction() as tx:
        yield MemoryAuditLog(tx)


@pytest.fixture(params=["memory", pytest.param("postgres", marks=pytest.mark.stack)])
def log(request):
    return request.getfixturevalue(f"{request.param}_log")
