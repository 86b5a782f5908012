"""An erasure reaches contacts, also in a backup of before; a lost key is no erasure."""

import asyncio
import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from uuid import UUID, uuid4

import psycopg
import pytest
from notification_world import CONTACT, challenged, vault_in

from notification import app
from notification.app import build
from notification.domain import Contact, contact_notices
from notification.settings import Settings
from notification.store import NewDelivery, PostgresContacts, forget
from payment_schemas.events.confirmation import PaymentConfirmed
from payment_schemas.events.subject import SubjectErased
from payment_schemas.sealed import Personal
from service_runtime import subjects
from service_runtime.keys import KeyRing
from service_runtime.message_macs import REASON
from service_runtime.messages import Batch
from service_runtime.subject_keys import ErasedError, KeyLostError
from service_runtime.subjects import Erasure
from testbed.backups import database_dsn, dump, restored
from testbed.database import fresh_database
from testbed.service import announce_erasure, client_of, running, settings_of
from testkit.events import NOON, PAYMENT, event_of, received
from testkit.operators import approval_of, signed_in

pytestmark = pytest.mark.stack
FOLDERS = [Path(__file__).parents[1] / name for name in ("migrations", "development")]
WRITE = signed_in("contacts.write", "ops.read")
SECOND = signed_in("contacts.write", name="bob")
CANARIES = ("+15557318462", "canary7318462@example.com", "+15557318463")
WITHIN_S = 40


async def until(condition):
    end_s = time.monotonic() + WITHIN_S
    while not (found := await condition()):
        assert time.monotonic() < end_s, "did not happen in time"
        await asyncio.sleep(0.05)
    return found


def found_in(content):
    forms = [one.encode() for one in CANARIES]
    return {one for one in (*forms, *(one.hex().encode() for one in forms)) if one in content}


@pytest.fixture
def settings(infrastructure, stack, operator_trust, monkeypatch, tmp_path):
    for name in ("DESTROY_EVERY_S", "LOOK_AFTER_KEYS_S"):
        monkeypatch.setattr(subjects, name, 0.3)
    folder = str(tmp_path / "keys")
    monkeypatch.setattr(app, "SEAL_EVERY_S", 0.3)
    own = {"instance": 900, "subject_key_folder": folder, "fetch_max_wait_ms": 50, **operator_trust}
    with fresh_database(infrastructure, "notification", FOLDERS) as database:
        found = settings_of(Settings, stack, database, monkeypatch).model_copy(update=own)
        yield found, database.admin_dsn


async def rows_of(dsn, user, refused=()):
    async with await psycopg.AsyncConnection.connect(dsn) as database:
        cursor = await database.execute(
            """select (select count(*) from notification.contact where user_id = %(user)s),
                      (select count(*) from notification.subject
                       where user_id = %(user)s and destroyed_at is not null),
                      (select count(*) from notification.proposal),
                      (select count(*) from notification.dead_letter
                       where reason = %(reason)s and event_id = any(%(refused)s))""",
            {"user": user, "reason": REASON, "refused": list(refused)},
        )
        return await cursor.fetchone()


async def nothing_in_clear(dsn):
    async with await psycopg.AsyncConnection.connect(dsn) as database:
        cursor = await database.execute(
            "select count(*) from notification.contact where phone is not null"
        )
        return await cursor.fetchone() == (0,)


async def keys_are_destroyed(own, dsn, *users):
    async with await psycopg.AsyncConnection.connect(dsn) as database:
        cursor = await database.execute(
            "select key_id from notification.subject where user_id = any(%s)", (list(users),)
        )
        files = [Path(own.subject_key_folder, str(one)) for (one,) in await cursor.fetchall()]
    contents = [one.read_bytes() for one in files if one.exists()]
    return contents == [b"destroyed"] * len(users)


async def put(http, user, phone):
    contact = {"user_id": user, "phone": phone, "email": CANARIES[1]}
    return await http.post("/admin/contacts", json={"contacts": [contact]}, headers=WRITE)


async def test_erased_contacts_do_not_come_back_with_a_backup(
    settings, stack, infrastructure, tmp_path, capfd
):
    (own, admin_dsn), user, backup = settings, f"usr-{uuid4().hex[:12]}", tmp_path / "before.sql"
    keys = own.mac_compliance_keys
    async with running(build(own)) as process, client_of(process) as http:
        assert (await put(http, user, CANARIES[0])).status_code == 200
        assert (await put(http, user, CANARIES[0])).status_code == 200
        proposed = (await put(http, user, CANARIES[2])).json()
        read = await http.get(f"/admin/proposals/{proposed['proposal']}", headers=WRITE)
        assert found_in(read.content) == {one.encode() for one in CANARIES[1:]}
        await until(partial(nothing_in_clear, admin_dsn))

        # Neither a record without a MAC nor one with another owner's key erases anybody.
        forged = [
            *await announce_erasure(stack.brokers, "notification", None, user),
            *await announce_erasure(stack.brokers, "notification", KeyRing(b"x" * 32), user),
            *await announce_erasure(stack.brokers, "insight", keys, user),
        ]

        async def refused():
            return (await rows_of(admin_dsn, user, forged))[3] == 3

        await until(refused)
        # Now the backup has offsets, at which the restored service reads on.
        await asyncio.to_thread(dump, admin_dsn, backup)
        assert user.encode() in backup.read_bytes()
        assert b"+15550100456" not in backup.read_bytes(), "contacts of before are sealed"
        assert await rows_of(admin_dsn, user, forged) == (1, 0, 1, 3)

        await announce_erasure(stack.brokers, "notification", keys, user, user, "usr-unknown")

        async def erased():
            return await rows_of(admin_dsn, user, forged) == (0, 1, 0, 3)

        await until(erased)
        late = await http.post(**approval_of(proposed), headers=SECOND)
        again = await put(http, user, CANARIES[0])
        assert (late.status_code, again.status_code) == (409, 409)
        assert again.json()["error"] == "Erased"
        # Unknown users are erased, too. The topic may have erasures of others.
        await until(partial(keys_are_destroyed, own, admin_dsn, user, "usr-unknown"))

    with restored(infrastructure.admin_dsn, backup) as name:
        with psycopg.connect(database_dsn(admin_dsn, name)) as database:
            # A backup has the leases of who worked when it was made: they end by time.
            database.execute("update notification.cursor set held_until = null")
        url = database_dsn(own.database_url, name)
        old = own.model_copy(update={"database_url": url})
        async with running(build(old)):

            async def forgotten():
                return (await rows_of(database_dsn(admin_dsn, name), user))[:3] == (0, 1, 0)

            await until(forgotten)
    for content in (backup.read_bytes(), "".join(capfd.readouterr()).encode()):
        assert found_in(content) == set()


@pytest.fixture
def erasure(postgres_world):
    world = postgres_world
    return Erasure("notification", world.vault, world.database, world.unit, world.clock, forget)


async def erase(world, erasure, *users):
    events = [received(SubjectErased(user_id=one), world.clock.new_id()) for one in users]
    async with world.database.transaction() as tx:
        await erasure.on_erased(Batch(events, NOON), tx)


async def contact(world, user="usr-456"):
    return (await world.contacts([user])).get(user)


async def test_messages_to_an_erased_person_end_at_once(postgres_world, erasure):
    world = postgres_world
    await world.put_contacts()
    former = await contact(world)
    notices = contact_notices(former, PAYMENT, world.clock.now())
    async with world.database.transaction() as tx:
        await world.store(tx).add([NewDelivery(one) for one in notices])
    other = uuid4()
    await world.challenge(challenged(payment_id=other))
    await world.add_outcomes(event_of(PaymentConfirmed))
    await erase(world, erasure, "usr-456")
    await erase(world, erasure, "usr-456")
    assert [await world.deliver(channel) for channel in ("sms", "email")] == [2, 2]
    assert (world.texts.given, world.mails.given) == ([], [])
    rows = [*await world.rows(PAYMENT), *await world.rows(other)]
    assert {(row["status"], row["reason"]) for row in rows} == {("REFUSED", "erased")}
    assert await world.addresses() == [None] * 4


async def test_a_kill_between_the_rows_and_the_key_is_made_good(postgres_world, erasure):
    world = postgres_world
    await world.put_contacts()
    async with world.database.transaction() as tx:
        (sealed,) = await PostgresContacts(tx, world.vault).sealed([CONTACT])
    await erase(world, erasure, "usr-456")
    assert (await contact(world)).trouble == "erased"
    # Killed here: the key is there, and the next process destroys it.
    await world.vault.keys.find(sealed.key_id)
    put, broken = world.vault.keys.store.put, asyncio.CancelledError()

    async def die(*given, **named):
        await put(*given, **named)
        raise broken

    world.vault.keys.store.put = die
    with pytest.raises(asyncio.CancelledError):
        await erasure.destroy(None)
    world.vault.keys.store.put = put
    await erasure.destroy(None)
    with pytest.raises(ErasedError):
        await world.vault.keys.find(sealed.key_id)
    actions = [record.value for record in world.broker.topics["audit.recorded.v1"]]
    assert [b"SUBJECT_KEY_DESTROYED" in value for value in actions] == [True]
    await erasure.destroy(None)
    assert len(world.broker.topics["audit.recorded.v1"]) == 1


async def test_a_database_of_before_finds_the_mark_and_a_lost_key_is_no_erasure(
    postgres_world, erasure, tmp_path
):
    world = postgres_world
    other = Contact("usr-457", Personal("+15550100457"), Personal("usr-457@example.com"))
    await world.put_contacts(CONTACT, other)
    async with world.database.transaction() as tx:
        sealed = await PostgresContacts(tx, world.vault).sealed([CONTACT, other])
    ids = {one.user_id: one.key_id for one in sealed}
    await world.vault.keys.destroy(ids["usr-456"])
    lost = tmp_path / "keys" / str(ids["usr-457"])
    content = lost.read_bytes()
    lost.unlink()
    fresh = world.vault = vault_in(tmp_path)
    assert (await contact(world)).trouble == "erased"
    assert (await contact(world, "usr-457")).trouble == "subject_key_lost"
    await world.add_outcomes(event_of(PaymentConfirmed, user_id="usr-457"))
    await world.deliver("email")
    assert (await world.rows(PAYMENT))[0]["reason"] == "subject_key_lost"

    with pytest.raises(KeyLostError, match="1 are lost"):
        await replace(erasure, vault=fresh).look_after_keys(None)
    async with world.database.transaction() as tx:
        rows = await tx.rows("select user_id from contact order by 1")
    assert rows == [{"user_id": "usr-457"}]
    lost.write_bytes(content)
    await replace(erasure, vault=fresh).look_after_keys(None)
    await world.later()
    await world.deliver("email")
    assert [one.to.reveal() for one in world.mails.kept.values()] == ["usr-457@example.com"]


async def test_contacts_of_before_are_sealed_and_neither_pause_codes_nor_lose_their_guard(
    postgres_world,
):
    world = postgres_world
    await world.execute(
        """insert into contact (user_id, phone, email)
           select 'usr-' || n, '+1555010' || n, n || '@example.com'
           from generate_series(1000, 1250) as n"""
    )
    assert (await contact(world, "usr-1007")).phone.reveal() == "+15550101007"
    counts = []
    while not counts or counts[-1] == 100:
        async with world.database.transaction() as tx:
            counts.append(await PostgresContacts(tx, world.vault).seal_older(100))
    assert counts == [100, 100, 51]
    found = await contact(world, "usr-1007")
    assert (found.phone.reveal(), found.is_paused) == ("+15550101007", False)
    async with world.database.transaction() as tx:
        left = await tx.rows("select phone, email from contact where sealed is null or phone > ''")
    assert left == []


async def test_the_cache_of_keys_is_bounded_and_forgets(postgres_world, monkeypatch):
    vault = postgres_world.vault
    ids = [UUID(int=number) for number in range(5)]
    for one in ids:
        await vault.keys.create(one)
    monkeypatch.setattr(subjects, "MOST_CACHED", 3)
    await vault.find(ids)
    await vault.keys.destroy(ids[4])
    await vault.keys.destroy(ids[0])
    found = await vault.find(ids)
    # Known for a minute; what did not fit is read again.
    assert [isinstance(found[one], ErasedError) for one in ids] == [True, *[False] * 4]
    vault.forget([ids[4]])
    assert isinstance((await vault.find([ids[4]]))[ids[4]], ErasedError)
