"""A card that its owner deletes: the number at once, then the providers' tokens; and older keys."""

from pathlib import Path

import psycopg
import pytest
from charges_world import CARD, JOSE, NUMBER, encrypted, until, world_of

from charges import app
from charges.clients.vault import Vault, VaultKeys
from charges.handlers import sealing
from payment_schemas.sealed import Sealed
from service_runtime.compute import Bounds, Executor
from service_runtime.encryption_keys import new_block, text_of
from service_runtime.file_keys import FileKeys
from service_runtime.key_sets import EncryptionKeys
from testbed.database import fresh_database

pytestmark = pytest.mark.stack
LEFT = "select sealed, kid, fingerprint, deleted_at from card where token = %s"
AT = """select provider, card_token.status, provider_token, code from card_token
    join card on card.id = card_id where token = %s order by provider"""
OPENED = """select purpose from detokenization join card on card.id = card_id where token = %s
    order by at"""


@pytest.fixture
def owner(charges_database):
    with psycopg.connect(charges_database.owner_dsn, autocommit=True) as connection:
        yield connection


async def add(world, **fields):
    content = await encrypted(world, CARD | fields)
    return content, await again(world, content)


async def again(world, content):
    return await world.http.post("/api/v1/cards", content=content, headers=JOSE)


async def token_of(world, **fields):
    _, response = await add(world, **fields)
    assert response.status_code == 201, response.text
    return response.json()["data"]["token"]


async def ends_at_providers(owner, token, expected):
    await until(lambda: owner.execute(AT, (token,)).fetchall() == expected)


async def test_a_deleted_card_is_gone_here_and_at_the_providers_and_its_token_says_so(world, owner):
    content, response = await add(world)
    token = response.json()["data"]["token"]
    before = {name: len(mock.cards()) for name, mock in world.mocks.items()}
    address = f"/api/v1/cards/{token}"
    paid = (await world.pay(source=token)).json()
    await world.ends(paid["transactionId"], "CAPTURED")

    world.as_user("usr-other")
    assert (await world.http.delete(address)).status_code == 404
    world.as_user("usr-456")
    deleted = await world.http.delete(address)
    assert (deleted.status_code, deleted.json()["data"]["status"]) == (200, "deleted")
    assert (await world.http.delete(address)).json() == deleted.json()

    gone = await world.pay(source=token), await world.http.get(address), await again(world, content)
    assert {(one.status_code, one.json()["error"]) for one in gone} == {(410, "Card was deleted")}
    world.as_user("usr-other")
    assert (await world.pay(source=token)).status_code == 400
    world.as_user("usr-456")
    *secrets, deleted_at = owner.execute(LEFT, (token,)).fetchone()
    assert secrets == [None, None, None]
    assert deleted_at
    nothing = ("DELETED", None, None)
    await ends_at_providers(owner, token, [("adyen", *nothing), ("stripe", *nothing)])
    after = {name: len(mock.cards()) for name, mock in world.mocks.items()}
    assert after == {name: count - 1 for name, count in before.items()}
    # What was paid with it can still be refunded.
    refund = await world.http.post(f"/api/v1/payments/{paid['transactionId']}/refunds", json={})
    assert refund.status_code == 202
    await world.ends(paid["transactionId"], "REFUNDED")


async def test_a_card_is_not_deleted_under_a_payment_that_has_not_ended(world):
    token = await token_of(world)
    held = (await world.pay("/pay", source=token, capture=False)).json()["transactionId"]
    refused = await world.http.delete(f"/api/v1/cards/{token}")
    assert (refused.status_code, refused.json()["error"]) == (409, "Card is in use")
    await world.http.post(f"/api/v1/payments/{held}/cancel")
    await world.ends(held, "CANCELLED")
    assert (await world.http.delete(f"/api/v1/cards/{token}")).status_code == 200


async def test_a_deleted_card_is_stored_at_no_provider_later(world, owner):
    world.mocks["adyen"].switch("down")
    token = await token_of(world)
    assert (await world.http.delete(f"/api/v1/cards/{token}")).status_code == 200
    opened = owner.execute(OPENED, (token,)).fetchall()
    world.mocks["adyen"].heal()
    ended = [("adyen", "REFUSED", None, "card_deleted"), ("stripe", "DELETED", None, None)]
    await ends_at_providers(owner, token, ended)
    # An opening that was under way when the card was deleted is the last one.
    assert len(owner.execute(OPENED, (token,)).fetchall()) <= len(opened) + 1


@pytest.fixture
def own_database(infrastructure):
    folder = [Path(__file__).parents[1] / "migrations"]
    with fresh_database(infrastructure, "charges", folder) as database:
        yield database


def new_key(passphrase):
    return text_of([new_block("EC", passphrase)])


def write(ring, *keys):
    ring.unlink(missing_ok=True)
    ring.write_text("".join(keys))
    ring.chmod(0o400)


@pytest.fixture
def hasty(monkeypatch):
    """The job runs again and again, and needs more than one page."""
    monkeypatch.setattr(app, "VAULT_EVERY_S", 0.3)
    monkeypatch.setattr(sealing, "PAGE", 2)


@pytest.fixture
def ring(tmp_path):
    return tmp_path / "ring"


@pytest.fixture
def own(own_database, settings, ring):
    write(ring, old := new_key(settings.e2e_passphrase))
    changes = {"database_url": own_database.dsn, "vault_keys_file": str(ring)}
    return settings.model_copy(update=changes), old


@pytest.mark.usefixtures("hasty")
async def test_cards_are_sealed_under_the_newest_key_so_that_an_old_one_can_go(
    own_database, own, port, mocks, ring
):
    settings, old = own
    with psycopg.connect(own_database.owner_dsn, autocommit=True) as owner:
        async with world_of(settings, port, mocks) as world:
            tokens = [await token_of(world) for _ in range(6)]
            assert (await world.http.delete(f"/api/v1/cards/{tokens[0]}")).status_code == 200
            (before,) = kids(owner)
            new = new_key(settings.e2e_passphrase)
            write(ring, new, old)
            await until(lambda: len(kids(owner)) == 1 and before not in kids(owner))
        write(ring, new)
        rows = owner.execute("select id, sealed from card where kid is not null").fetchall()
        assert [await opened(settings, *row) for row in rows] == [NUMBER] * 5
        for token in tokens[1:]:
            purposes = [row[0] for row in owner.execute(OPENED, (token,))]
            assert purposes == ["store at provider", "store at provider", "seal anew"]
        assert ("seal anew",) not in owner.execute(OPENED, (tokens[0],)).fetchall()


async def opened(settings, card_id, sealed):
    """A number, opened by a vault that has the newest key alone."""
    keys = EncryptionKeys([settings.vault_keys_file], settings.e2e_passphrase)
    rings = VaultKeys(keys, keys, settings.card_fingerprint_keys)
    async with Executor("vault", Bounds(1, 1, 10)) as threads, FileKeys() as provider:
        return (await Vault(rings, provider, threads).reveal(Sealed(sealed), card_id)).reveal()


def kids(owner):
    return {row[0] for row in owner.execute("select distinct kid from card where kid is not null")}
