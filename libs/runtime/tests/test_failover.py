"""Failover of PostgreSQL: connections to the old server move to the new one.

One server plays both roles. Its settings make open sessions read-only, as a demoted server does;
the settings of the database make new sessions writable.
"""

import asyncio
import time
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql

from service_runtime import postgres as runtime_postgres
from service_runtime.postgres import PostgresDatabase

pytestmark = pytest.mark.stack
READ_ONLY = "default_transaction_read_only"


class Server:
    """A setting that the operator changes."""

    def __init__(self, admin_dsn):
        self._dsn = admin_dsn
        self._database = sql.Identifier(admin_dsn.rpartition("/")[2])

    def _run(self, *statements):
        options = f"-c {READ_ONLY}=off"
        with psycopg.connect(self._dsn, autocommit=True, options=options) as admin:
            for statement in statements:
                admin.execute(sql.SQL(statement).format(self._database))

    def demote(self):
        self._run(f"alter system set {READ_ONLY} = on", "select pg_reload_conf()")

    def promote_the_other(self):
        self._run(f"alter database {{}} set {READ_ONLY} = off")

    def restore(self):
        self._run(
            f"alter system reset {READ_ONLY}",
            "select pg_reload_conf()",
            f"alter database {{}} reset {READ_ONLY}",
        )


@pytest.fixture
def server(probe_database):
    found = Server(probe_database.admin_dsn)
    yield found
    found.restore()


async def write(database):
    async with database.transaction() as tx:
        await tx.run(
            "insert into tally (event_id, lane, number) values (%(id)s, 'a', 1)", id=uuid4()
        )


async def attempt(database):
    """Write once; return whether it succeeded."""
    try:
        await write(database)
    except psycopg.Error:
        return False
    return True


async def all_succeed(database):
    return all(await asyncio.gather(*[attempt(database) for _ in range(8)]))


async def refused(database):
    return not await attempt(database)


async def unreachable(database):
    return not await database.reachable()


async def seconds_until(condition, within_s=10):
    begin = time.monotonic()
    async with asyncio.timeout(within_s):
        while not await condition():  # noqa: ASYNC110 - a server sets no event
            await asyncio.sleep(0.05)
    return time.monotonic() - begin


async def test_writes_go_on_within_10_s_when_another_server_takes_over(postgres, server):
    assert await all_succeed(postgres)
    server.demote()
    await seconds_until(lambda: refused(postgres))
    assert not await postgres.reachable()

    server.promote_the_other()

    assert await seconds_until(lambda: attempt(postgres)) < 10
    assert await seconds_until(postgres.reachable) < 10
    # A connection of the pool that was opened before may still be used once.
    assert await seconds_until(lambda: all_succeed(postgres)) < 10


async def test_the_readiness_check_alone_finds_the_writable_server(postgres, server):
    await write(postgres)
    server.demote()
    await seconds_until(lambda: unreachable(postgres))
    server.promote_the_other()

    assert await seconds_until(postgres.reachable) < 10

    assert await attempt(postgres)


async def test_a_read_only_server_is_not_connected_to(probe_settings, server, monkeypatch):
    monkeypatch.setattr(runtime_postgres, "POOL_WAIT_S", 0.5)
    server.demote()
    await asyncio.sleep(0.1)
    async with PostgresDatabase(probe_settings, "probe.1") as database:
        assert not await database.reachable()
        server.promote_the_other()

        assert await seconds_until(lambda: attempt(database)) < 10
