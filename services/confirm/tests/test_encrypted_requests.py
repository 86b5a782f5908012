"""Opened requests are decided as plain ones are; an encryption serves one request alone."""

from dataclasses import replace

import pytest
from confirm_builders import first_request
from confirm_world import answers

from confirm.domain.encrypted import OpenedRequest, TokenUse
from payment_schemas.answers import in_progress, not_decrypted, unavailable
from service_runtime.messages import Batch
from testkit.events import received

pytestmark = pytest.mark.usefixtures("_account")


@pytest.fixture
async def _account(world):
    await world.open_account("acc-1", "usr-456", 1_000_000)


async def ask(world, *pairs):
    """Handle encrypted commands with what became of each when it was opened."""
    items = []
    lookups = {}
    for found in pairs:
        plain = found.request if isinstance(found, OpenedRequest) else first_request()
        sealed = plain.model_copy(
            update={"encrypted": "a.b.c.d.e", "amount": None, "from_account": None}
        )
        item = received(sealed, world.clock.new_id())
        items.append(item)
        lookups[item.cause.id] = found
    async with world.stored() as store:
        handle = world.handler(items[0].event)
        emitted = await handle(Batch(items, world.clock.now(), lookups), store)
    return answers([emit.event for emit in emitted])


def opened(token_id="t" * 16, **fields):
    request = first_request(**fields)
    use = TokenUse(request.user_id, token_id, request.idempotency_key, request.transaction_id)
    return OpenedRequest(request, use)


def bodies(found):
    return [(one.status, one.body) for one in found]


REFUSED = (not_decrypted().status, not_decrypted().body)
REPEATED = (in_progress().status, in_progress().body)


async def test_an_opened_request_makes_the_payment_that_a_plain_one_makes(world):
    assert await ask(world, opened()) == []
    (encrypted,) = await world.payments()
    await world.take(first_request(transaction_id="tx-1", idempotency_key="k-1"))
    plain = next(one for one in await world.payments() if one.transaction_id == "tx-1")
    names = ("amount_minor", "currency", "from_account", "to_account", "status", "ip_address")
    assert [getattr(encrypted, name) for name in names] == [getattr(plain, name) for name in names]


async def test_a_refused_request_leaves_nothing_but_its_reply(world):
    assert bodies(await ask(world, not_decrypted(), unavailable())) == [
        REFUSED,
        (503, unavailable().body),
    ]
    assert await world.payments() == []


async def test_the_same_request_again_is_idempotent_with_the_same_or_another_encryption(world):
    await ask(world, opened())
    assert bodies(await ask(world, opened(), opened(token_id="u" * 16))) == [REPEATED, REPEATED]
    assert len(await world.payments()) == 1


@pytest.mark.parametrize("together", [True, False], ids=["in one batch", "later"])
async def test_an_encryption_under_another_key_is_a_replay(world, together):
    replay = opened(idempotency_key="another")
    if together:
        found = await ask(world, opened(), replay)
    else:
        await ask(world, opened())
        found = await ask(world, replay)
    assert bodies(found) == [REFUSED]
    assert [one.idempotency_key for one in await world.payments()] == ["abc-123"]


async def test_an_encryption_for_another_transaction_is_a_replay(world):
    await ask(world, opened())
    assert bodies(await ask(world, opened(transaction_id="tx-988"))) == [REFUSED]


async def test_two_users_may_draw_the_same_token_id(world):
    await world.open_account("acc-2", "usr-457", 1_000_000)
    other = opened(user_id="usr-457", from_account="acc-2", idempotency_key="k-2")
    assert await ask(world, opened(), other) == []
    assert len(await world.payments()) == 2


async def test_a_replay_is_refused_beside_plain_requests_of_the_same_batch(world):
    await ask(world, opened())
    replay = opened(idempotency_key="another")
    sealed = replay.request.model_copy(update={"encrypted": "a.b.c.d.e"})
    items = [
        received(sealed, world.clock.new_id()),
        received(first_request(transaction_id="tx-1", idempotency_key="k-1"), world.clock.new_id()),
    ]
    lookups = {items[0].cause.id: replace(replay)}
    async with world.stored() as store:
        handle = world.handler(sealed)
        emitted = await handle(Batch(items, world.clock.now(), lookups), store)
    assert bodies(answers([emit.event for emit in emitted])) == [REFUSED]
    assert len(await world.payments()) == 2
