"""What happens without Redis, under a flood of passwords, and after a kill."""

import asyncio

import pytest
from identity_world import PASSWORD, World

from identity.app import build
from service_runtime.unit_of_work import UnitOfWork
from testbed.service import client_of, running

pytestmark = pytest.mark.stack


async def test_without_redis_nobody_signs_in_and_who_is_signed_in_goes_on(
    world, settings, database
):
    tokens = await world.signed_in()
    email = await world.registered()
    away = settings.model_copy(update={"redis_url": "redis://127.0.0.1:1"})
    async with running(build(away)) as process, client_of(process) as http:
        here = World(http, world.clock, database, away)
        refused = await here.login(email)
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
        body = {"email": "new@example.com", "password": PASSWORD}
        assert (await here.post("/auth/register", body)).status_code == 503
        assert (await here.refresh(tokens["refreshToken"])).status_code == 200


async def test_a_refresh_whose_response_is_lost_with_the_process_is_repeated(
    world, settings, database, monkeypatch
):
    token = (await world.signed_in())["refreshToken"]
    commit = UnitOfWork.run_in_transaction

    async def killed(unit, write):
        await commit(unit, write)
        raise asyncio.CancelledError

    monkeypatch.setattr(UnitOfWork, "run_in_transaction", killed)
    with pytest.raises(asyncio.CancelledError):
        await world.refresh(token)
    monkeypatch.undo()
    async with running(build(settings)) as process, client_of(process) as http:
        again = await World(http, world.clock, database, settings).refresh(token)
    assert again.status_code == 200
    following = again.json()["data"]["refreshToken"]
    assert (await world.refresh(following)).status_code == 200


async def test_a_flood_of_sign_ins_waits_in_a_bounded_queue_and_the_rest_is_refused(
    world, settings, database, monkeypatch
):
    monkeypatch.setattr("identity.clients.passwords.MOST_WAITING", 4)
    emails = [f"flood-{number}@example.com" for number in range(20)]
    async with running(build(settings)) as process, client_of(process) as http:
        flooded = World(http, world.clock, database, settings)
        replies = await asyncio.gather(*[flooded.login(email, "wrong") for email in emails])
    statuses = [reply.status_code for reply in replies]
    assert set(statuses) == {401, 503}
    assert statuses.count(401) >= 4
