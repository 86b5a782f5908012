"""Passwords are replaced while everything runs: a client that was started before logs in again."""

import asyncio
from urllib.parse import urlsplit

import psycopg
import pytest
from redis.asyncio import Redis
from redis.exceptions import AuthenticationError

from kafka_access.users import set_passwords
from local_stack.admin import run_admin
from local_stack.credentials import password_name, principal_name, redis_name
from local_stack.errors import StackError
from local_stack.passwords import rotate
from service_runtime.brokers import Brokers
from service_runtime.keys import Password

pytestmark = pytest.mark.stack
USER, FIRST = "spare", "first"
NAMES = {"kafka": USER, "postgres": password_name(USER), "redis": redis_name(USER)}


@pytest.fixture
async def files(infrastructure):
    """A login of its own at each server, and the files of its passwords."""
    credentials = infrastructure.credentials
    files = NAMES | {"kafka": principal_name(USER)}
    for name in files.values():
        credentials.write(name, FIRST)
    await run_admin(infrastructure.brokers, lambda admin: set_passwords(admin, {USER: FIRST}))
    rights = {"keys": ["*"], "categories": ["+@all"]}
    with psycopg.connect(infrastructure.admin_dsn, autocommit=True) as postgres:
        async with Redis.from_url(infrastructure.redis_url) as redis:
            await redis.acl_setuser(USER, enabled=True, passwords=[f"+{FIRST}"], **rights)
            postgres.execute(f"create role {USER} login password '{FIRST}'")
            postgres.execute(f"grant connect on database countersign to {USER}")
            yield {server: credentials.path(name) for server, name in files.items()}
            postgres.execute(f"drop owned by {USER}")
            postgres.execute(f"drop role {USER}")
            await redis.acl_deluser(USER)
    await run_admin(infrastructure.brokers, lambda admin: set_passwords(admin, {}, [USER]))
    for name in files.values():
        credentials.path(name).unlink()


async def test_a_client_of_before_logs_in_by_the_new_password_and_the_old_one_is_refused(
    infrastructure, files
):
    kept = {server: Password.of_file(path) for server, path in files.items()}
    brokers = Brokers(infrastructure.kafka, USER, kept["kafka"], infrastructure.brokers.tls_ca)
    host, port = infrastructure.redis.split(":")
    database = urlsplit(infrastructure.admin_dsn)
    login = {"host": database.hostname, "port": database.port, "dbname": "countersign"}
    stays = psycopg.connect(**login, user=USER, password=kept["postgres"])

    for name in NAMES.values():
        await asyncio.to_thread(rotate, infrastructure, name)

    assert await brokers.refusal() is None
    psycopg.connect(**login, user=USER, password=kept["postgres"]).close()
    async with Redis(host=host, port=int(port), username=USER, password=kept["redis"]) as redis:
        assert await redis.ping()
    assert stays.execute("select 1").fetchone() == (1,)
    stays.close()
    old = Brokers(infrastructure.kafka, USER, FIRST, infrastructure.brokers.tls_ca)
    assert "refuses the login of principal spare" in await old.refusal()
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(**login, user=USER, password=FIRST)
    async with Redis(host=host, port=int(port), username=USER, password=FIRST) as redis:
        with pytest.raises(AuthenticationError):
            await redis.ping()


@pytest.mark.parametrize("name", ["nobody", "broker", "database-nobody", "redis-nobody"])
def test_a_password_that_nobody_has_is_not_replaced(infrastructure, name):
    with pytest.raises(StackError, match=r"nobody|broker"):
        rotate(infrastructure, name)
