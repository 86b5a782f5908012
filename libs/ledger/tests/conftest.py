"""A service that holds money as the README shows it, in memory and in PostgreSQL."""

import sys
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest

from double_entry.memory import MemoryLedger
from double_entry.store import PostgresLedger
from testbed.database import fresh_database
from testbed.service import database_of
from testkit.events import NOON
from testkit.memory import MemoryDatabase, SteadyClock

sys.path.insert(0, str(Path(__file__).parent))

# The builders are a module beside this file, so the path must be set first.
from ledger_builders import examples


@dataclass
class Purse:
    database: Any
    kind: Any
    refused: tuple[type[Exception], ...]
    admin_dsn: str = ""

    @asynccontextmanager
    async def stored(self):
        async with self.database.transaction() as tx:
            yield self.kind(tx)

    async def rows(self, statement, **parameters):
        async with self.database.transaction() as tx:
            return await tx.rows(statement, **parameters)

    async def plant(self, *statements):
        """Write without triggers, as a database fault would."""
        connection = await psycopg.AsyncConnection.connect(
            self.admin_dsn, options="-c search_path=purse"
        )
        async with connection:
            await connection.execute("set session_replication_role = replica")
            for statement in statements:
                await connection.execute(statement)


@pytest.fixture(scope="session")
def purse_database(infrastructure, tmp_path_factory):
    folder = tmp_path_factory.mktemp("migrations")
    (folder / "0001_ledger.sql").write_text(examples("sql")[0])
    with fresh_database(infrastructure, "purse", [folder]) as database:
        yield database


@pytest.fixture
async def postgres_purse(purse_database, tmp_path):
    async with database_of(purse_database.dsn, tmp_path) as database:
        refused = (psycopg.errors.RaiseException, psycopg.IntegrityError)
        purse = Purse(database, PostgresLedger, refused, purse_database.admin_dsn)
        await purse.plant(
            "truncate transfer, account, ledger_checkpoint",
            "update ledger_frontier set posted_before = '-infinity'",
        )
        yield purse


@pytest.fixture
def memory_purse():
    return Purse(MemoryDatabase(SteadyClock(NOON)), MemoryLedger, (ValueError,))


@pytest.fixture(params=["memory", pytest.param("postgres", marks=pytest.mark.stack)])
def purse(request):
    """The same tests run in memory and in PostgreSQL."""
    return request.getfixturevalue(f"{request.param}_purse")
