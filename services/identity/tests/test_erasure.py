"""An erasure reaches e-mail addresses, also in a backup of before; a lost key is no erasure."""

import asyncio
import shutil
import time
from uuid import UUID

import psycopg
import pytest
from identity_world import PASSWORD, World, bearer

from identity import app
from identity.app import build
from service_runtime import subjects
from service_runtime.keys import KeyRing
from service_runtime.message_macs import REASON
from testbed.backups import database_dsn, dump, restored
from testbed.service import announce_erasure, client_of, running

pytestmark = pytest.mark.stack
CANARY = "canary5190733@example.com"
OLDER = "canary5190734@example.com"
FORMS = [form for one in (CANARY, OLDER) for form in (one.encode(), one.encode().hex().encode())]
WITHIN_S = 40


async def until(condition):
    end_s = time.monotonic() + WITHIN_S
    while not (found := condition()):
        assert time.monotonic() < end_s, "did not happen in time"
        await asyncio.sleep(0.05)
    return found


@pytest.fixture
async def erasing(settings, database, monkeypatch, tmp_path):
    """Return identity whose jobs run at once, and what restarts it."""
    for name in ("DESTROY_EVERY_S", "LOOK_AFTER_KEYS_S"):
        monkeypatch.setattr(subjects, name, 0.3)
    monkeypatch.setattr(app, "SEAL_EVERY_S", 0.3)
    own = settings.model_copy(update={"subject_key_folder": str(tmp_path / "keys")})

    def start(**update):
        return running(build(own.model_copy(update=update)))

    return World(None, None, database, own), start


async def registered(world, email):
    reply = await world.post("/auth/register", {"email": email, "password": PASSWORD})
    assert reply.status_code == 201, reply.text
    return reply.json()["data"]["id"]


async def test_an_erased_person_is_nobody_also_in_a_backup(
    erasing, stack, infrastructure, tmp_path, capfd
):
    (world, start), backup = erasing, tmp_path / "before.sql"
    keys = world.settings.mac_compliance_keys
    async with start() as process, client_of(process) as http:
        del http.headers["Authorization"]
        world.http = http
        user, older = await registered(world, CANARY), await registered(world, "x@example.com")
        # A row of an older version is found in clear, cannot be taken again, and is sealed.
        with psycopg.connect(world.database.admin_dsn) as admin:
            admin.execute(
                """update identity.email_address
                   set address = %s, lookup = null, key_id = null, sealed = null
                   where user_id = %s""",
                (OLDER, UUID(hex=older.removeprefix("cs_user_"))),
            )
        for email in (CANARY, OLDER):
            again = await world.post("/auth/register", {"email": email, "password": PASSWORD})
            assert again.status_code == 409, again.text
        sealed = "select count(*) from email_address where address is not null"
        await until(lambda: world.rows(sealed) == [(0,)])
        signed_in = {user: await world.login(CANARY), older: await world.login(OLDER)}
        tokens = {name: reply.json()["data"] for name, reply in signed_in.items()}
        profiles = [
            await http.get("/auth/profile", headers=bearer(tokens[user])) for user in tokens
        ]
        assert [one.json()["data"]["email"] for one in profiles] == [CANARY, OLDER]

        # Neither a record without a MAC nor one with another owner's key erases anybody.
        forged = [
            *await announce_erasure(stack.brokers, "identity", None, user),
            *await announce_erasure(stack.brokers, "identity", KeyRing(b"x" * 32), user),
            *await announce_erasure(stack.brokers, "insight", keys, user),
        ]
        refused = "select count(*) from dead_letter where reason = %s and event_id = any(%s)"
        await until(lambda: world.rows(refused, REASON, forged) == [(3,)])
        # Now the backup has offsets, at which the restored service reads on.
        await asyncio.to_thread(dump, world.database.admin_dsn, backup)
        assert (await world.login(CANARY)).status_code == 200

    # Identity is down, and the erasure waits; it comes twice, and about users of other issuers.
    await announce_erasure(stack.brokers, "identity", keys, user, older, user, "usr-unknown")
    gone = "select count(*) from subject where user_id = any(%s) and destroyed_at is not null"
    async with start() as process, client_of(process) as http:
        del http.headers["Authorization"]
        world.http = http
        await until(lambda: world.rows(gone, [user, older, "usr-unknown"]) == [(3,)])
        for email in (CANARY, OLDER):
            assert (await world.login(email)).status_code == 401
        for signed in tokens.values():
            refreshed = await world.refresh(signed["refreshToken"])
            profile = await http.get("/auth/profile", headers=bearer(signed))
            assert (refreshed.status_code, profile.status_code) == (401, 401)
        anew = await registered(world, CANARY)
        assert anew != user
        assert (await world.login(CANARY)).status_code == 200

    with restored(infrastructure.admin_dsn, backup) as name:
        with psycopg.connect(database_dsn(world.database.admin_dsn, name)) as admin:
            # A backup has the leases of who worked when it was made: they end by time.
            admin.execute("update identity.cursor set held_until = null")
        async with start(database_url=database_dsn(world.settings.database_url, name)):

            def left():
                with psycopg.connect(database_dsn(world.database.admin_dsn, name)) as admin:
                    ids = [UUID(hex=one.removeprefix("cs_user_")) for one in (user, older)]
                    query = "select 1 from identity.email_address where user_id = any(%s)"
                    return admin.execute(query, (ids,)).fetchall()

            await until(lambda: left() == [])
    for content in (backup.read_bytes(), "".join(capfd.readouterr()).encode()):
        assert [one for one in FORMS if one in content] == []


async def test_a_lost_key_is_no_erasure_and_a_former_look_up_key_still_finds(erasing):
    world, start = erasing
    (former,), new = tuple(world.settings.email_lookup_keys), b"n" * 32
    async with start() as process, client_of(process) as http:
        del http.headers["Authorization"]
        world.http = http
        email = await world.registered()
        tokens = (await world.login(email)).json()["data"]
    await asyncio.to_thread(shutil.rmtree, world.settings.subject_key_folder)
    rotated = KeyRing(new, former.material)
    async with start(email_lookup_keys=rotated) as process, client_of(process) as http:
        del http.headers["Authorization"]
        world.http = http
        again = await world.post("/auth/register", {"email": email, "password": PASSWORD})
        profile = await http.get("/auth/profile", headers=bearer(tokens))
        assert (again.status_code, profile.status_code) == (409, 503)
        assert (await world.login(email)).status_code == 200
    async with start(email_lookup_keys=KeyRing(new)) as process, client_of(process) as http:
        del http.headers["Authorization"]
        world.http = http
        assert (await world.login(email)).status_code == 401


async def test_two_registrations_of_one_address_at_once_make_one_account(world):
    fields = {"email": "twice@example.com", "password": PASSWORD}
    replies = await asyncio.gather(*[world.post("/auth/register", fields) for _ in range(2)])
    assert sorted(reply.status_code for reply in replies) == [201, 409]
