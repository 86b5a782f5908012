"""An erasure removes what is known of a person, also from a backup of before."""

import asyncio
from uuid import uuid4

import psycopg
import pytest
from insight_world import assessed, changed, until

from insight.app import build
from service_runtime.message_macs import REASON
from testbed.backups import database_dsn, dump, restored
from testbed.service import announce_erasure, publish, running

pytestmark = pytest.mark.stack
CANARY = "canary7318462"


async def counted(dsn, *users, forged=()):
    """Return the rows of users, and how many of these records were refused."""
    async with await psycopg.AsyncConnection.connect(dsn) as database:
        cursor = await database.execute(
            """select (select array_agg(user_id order by user_id) from (
                           select user_id from insight.explanation
                           union all select user_id from insight.known_payment) as known
                       where user_id = any(%s)),
                      (select count(*) from insight.dead_letter
                       where reason = %s and event_id = any(%s))""",
            (list(users), REASON, list(forged)),
        )
        return await cursor.fetchone()


async def test_erased_texts_do_not_come_back_with_a_backup(
    settings, stack, insight_database, infrastructure, tmp_path
):
    user, other = (f"usr-{uuid4().hex[:12]}" for _ in range(2))
    admin_dsn, backup = insight_database.admin_dsn, tmp_path / "before.sql"
    name = f"{CANARY}-{user}"
    events = [made(name, one) for one in (user, other) for made in (assessed, changed)]
    keys = settings.mac_compliance_keys

    async def known(*users):
        return (await counted(admin_dsn, user, other))[0] == sorted(users)

    async with running(build(settings)):
        await publish(stack.brokers, settings, *events)
        await until(lambda: known(user, user, other, other))
        await asyncio.to_thread(dump, admin_dsn, backup)
        assert f"{CANARY}-{user}\t".encode() in backup.read_bytes()

        forged = [
            *await announce_erasure(stack.brokers, "insight", None, user),
            *await announce_erasure(stack.brokers, "notification", keys, user),
        ]

        async def refused():
            return (await counted(admin_dsn, forged=forged))[1] == 2

        await until(refused)
        assert await known(user, user, other, other)

        await announce_erasure(stack.brokers, "insight", keys, user, user)
        await until(lambda: known(other, other))
        # Of an erased person nothing is added, whatever is read later.
        later = [assessed(f"{name}-later", one) for one in (user, other)]
        await publish(stack.brokers, settings, *later)
        await until(lambda: known(other, other, other))

    with restored(infrastructure.admin_dsn, backup) as database:
        url = database_dsn(settings.database_url, database)

        async def forgotten():
            found, _ = await counted(database_dsn(admin_dsn, database), user, other)
            return found == [other] * 3

        async with running(build(settings.model_copy(update={"database_url": url}))):
            await until(forgotten)
