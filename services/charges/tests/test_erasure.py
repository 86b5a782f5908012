"""An erasure removes cards, also from a backup of before; addresses go when a charge has ended."""

import asyncio
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from charges_world import CARD, JOSE, encrypted, until, world_of
from psycopg.conninfo import conninfo_to_dict

from charges import app
from service_runtime.message_macs import REASON
from testbed.backups import database_dsn, dump, restored
from testbed.database import fresh_database
from testbed.service import announce_erasure

pytestmark = pytest.mark.stack
EMAIL = "canary6183047@example.com"
NUMBER = "4000056655665556"
MIGRATIONS = Path(__file__).parents[1] / "migrations"
CARDS = """select deleted_at is not null, sealed is null, fingerprint is null from charges.card
    where user_id = %s"""
TOKENS = """select distinct card_token.status from charges.card_token
    join charges.card on card.id = card_id where user_id = %s"""


@pytest.fixture
def own_database(infrastructure):
    with fresh_database(infrastructure, "charges", [MIGRATIONS]) as database:
        yield database


@pytest.fixture
def hurried_settings(settings, port, own_database, monkeypatch):
    monkeypatch.setattr(app, "ERASE_EVERY_S", 0.2)
    url = database_dsn(settings.database_url, conninfo_to_dict(own_database.dsn)["dbname"])
    own = {"database_url": url, "provider_timeout_s": 0.4, "charge_answer_within_s": 0.5}
    found = settings.model_copy(update=own)
    return found, own_database.admin_dsn, port


def rows_of(dsn, query, *values):
    with psycopg.connect(dsn) as owner:
        return owner.execute(query, values).fetchall()


async def stored_card(world, user):
    content = await encrypted(world, CARD | {"cardNumber": NUMBER}, user)
    response = await world.http.post("/api/v1/cards", content=content, headers=JOSE)
    assert response.status_code == 201, response.text
    return response.json()["data"]["token"]


async def test_cards_of_an_erased_person_go_and_an_open_payment_ends_first(
    hurried_settings, stack, mocks, tmp_path, capfd
):
    (own, dsn, port), backup = hurried_settings, tmp_path / "before.sql"
    user, keys = f"usr-{uuid4().hex[:12]}", own.mac_compliance_keys
    emails = "select status, email from charges.charge where user_id = %s"
    async with world_of(own, port, mocks) as world:
        world.as_user(user)
        used, unused = await stored_card(world, user), await stored_card(world, user)
        await until(lambda: rows_of(dsn, TOKENS, user) == [("STORED",)])
        for mock in mocks.values():
            mock.switch("lose_request")
        reply = await world.pay(source=used, email=EMAIL)
        assert reply.status_code == 202, reply.text
        transaction_id = reply.json()["transactionId"]
        ((_, sealed),) = rows_of(dsn, emails, user)
        assert sealed
        assert EMAIL not in sealed

        # Neither a record without a MAC nor one with the MAC for another owner erases anybody.
        forged = [
            *await announce_erasure(stack.brokers, "charges", None, user),
            *await announce_erasure(stack.brokers, "identity", keys, user),
        ]
        refused = """select count(*) from charges.dead_letter
            where reason = %s and event_id = any(%s)"""
        await until(lambda: rows_of(dsn, refused, REASON, forged) == [(2,)], 40)
        # Now the backup has offsets, at which the restored service reads on.
        await asyncio.to_thread(dump, dsn, backup)
        assert rows_of(dsn, CARDS, user) == [(False, False, False)] * 2

        await announce_erasure(stack.brokers, "charges", keys, user, user, "usr-unknown")
        gone = "select token from charges.card where user_id = %s and deleted_at is not null"
        await until(lambda: rows_of(dsn, gone, user) == [(unused,)])
        for mock in mocks.values():
            mock.heal()
        await world.ends(transaction_id, "CAPTURED")
        assert len(world.taken(transaction_id)) == 1
        await until(lambda: rows_of(dsn, CARDS, user) == [(True, True, True)] * 2)
        await until(lambda: rows_of(dsn, TOKENS, user) == [("DELETED",)])
        assert rows_of(dsn, emails, user) == [("CAPTURED", "")]
        assert (await world.pay(source=used)).status_code == 410

    with restored(dsn, backup) as name:
        old_dsn = database_dsn(dsn, name)
        assert rows_of(old_dsn, CARDS, user) == [(False, False, False)] * 2
        with psycopg.connect(old_dsn) as admin:
            # A backup has the leases of who worked when it was made: they end by time.
            admin.execute("update charges.cursor set held_until = null")
            admin.execute("update charges.charge set lease_until = null")
        url = database_dsn(own.database_url, name)
        async with world_of(own.model_copy(update={"database_url": url}), port, mocks):
            # The other one goes when its payment, which the provider has captured, ends here, too.
            await until(lambda: (unused,) in rows_of(old_dsn, gone, user), 40)
    for content in (backup.read_bytes(), "".join(capfd.readouterr()).encode()):
        assert [one for one in (EMAIL, NUMBER) if one.encode() in content] == []
