"""Refresh tokens: used once, repeated within seconds, and a theft ends the session."""

import asyncio
from datetime import timedelta
from uuid import UUID

import pytest
from identity_world import bearer, claims_of

from payment_schemas.events.record import AuditRecorded
from testbed.service import published_events

pytestmark = pytest.mark.stack


async def test_a_refresh_returns_a_new_token_of_the_same_session(world):
    first = await world.signed_in()
    second = (await world.refresh(first["refreshToken"])).json()["data"]
    assert second["refreshToken"] != first["refreshToken"]
    one, two = claims_of(first["token"]), claims_of(second["token"])
    assert (one["sid"], one["sub"]) == (two["sid"], two["sub"])
    assert one["jti"] != two["jti"]


async def test_a_lost_response_is_repeated_with_the_same_refresh_token(world):
    token = (await world.signed_in())["refreshToken"]
    replies = await asyncio.gather(*[world.refresh(token) for _ in range(5)])
    assert {reply.status_code for reply in replies} == {200}
    assert len({reply.json()["data"]["refreshToken"] for reply in replies}) == 1


@pytest.mark.parametrize("late", [True, False], ids=["after 30 s", "after the next one was used"])
async def test_a_token_that_is_used_a_second_time_ends_its_whole_family(world, stack, late):
    first = await world.signed_in()
    second = (await world.refresh(first["refreshToken"])).json()["data"]
    newest = second
    if late:
        world.clock.ahead = timedelta(seconds=31)
    else:
        newest = (await world.refresh(second["refreshToken"])).json()["data"]

    stolen = await world.refresh(first["refreshToken"])

    assert stolen.status_code == 401
    assert (await world.refresh(newest["refreshToken"])).status_code == 401
    claims = claims_of(first["token"])
    records = await published_events(
        stack.brokers, AuditRecorded, f"{claims['iss']}|{claims['sub']}", 3
    )
    assert (records[2].action, records[2].about) == ("REFRESH_TOKEN_REUSED", claims["sid"])


async def test_another_session_of_the_same_user_goes_on_after_a_theft(world):
    email = await world.registered()
    one, other = [(await world.login(email)).json()["data"] for _ in range(2)]
    await world.refresh(one["refreshToken"])
    world.clock.ahead = timedelta(seconds=31)
    assert (await world.refresh(one["refreshToken"])).status_code == 401
    assert (await world.refresh(other["refreshToken"])).status_code == 200


async def test_a_session_ends_when_it_is_idle_and_in_any_case_after_its_life(world):
    idle, busy = await world.signed_in(), await world.signed_in()
    step = world.settings.session_rules.idle - timedelta(minutes=1)
    token = busy["refreshToken"]
    while world.clock.ahead + step < world.settings.session_rules.life:
        world.clock.ahead += step
        token = (await world.refresh(token)).json()["data"]["refreshToken"]
    assert (await world.refresh(idle["refreshToken"])).status_code == 401
    world.clock.ahead = world.settings.session_rules.life
    assert (await world.refresh(token)).status_code == 401


async def test_an_owner_lists_and_ends_own_sessions_and_no_others(world):
    email = await world.registered()
    one, two = [(await world.login(email)).json()["data"] for _ in range(2)]
    stranger = await world.signed_in()
    mine = bearer(one)

    listed = (await world.http.get("/auth/sessions", headers=mine)).json()["data"]["sessions"]
    second = claims_of(two["token"])["sid"]
    assert [session["id"] for session in listed] == [second, claims_of(one["token"])["sid"]]
    path = f"/auth/sessions/{second}"
    assert (await world.http.delete(path, headers=bearer(stranger))).status_code == 404
    assert (await world.http.delete(path, headers=mine)).status_code == 200
    assert (await world.http.delete(path, headers=mine)).status_code == 200
    assert (await world.refresh(two["refreshToken"])).status_code == 401
    unknown = await world.http.delete(f"/auth/sessions/{UUID(int=1)}", headers=mine)
    assert unknown.status_code == 404


async def test_a_sign_out_ends_the_session_and_a_repeat_is_no_error(world):
    tokens = await world.signed_in()
    body = {"refreshToken": tokens["refreshToken"]}
    assert [(await world.post("/auth/logout", body)).status_code for _ in range(2)] == [200, 200]
    assert (await world.post("/auth/logout", {"refreshToken": "unknown"})).status_code == 200
    assert (await world.refresh(tokens["refreshToken"])).status_code == 401


async def test_over_the_number_of_sessions_the_oldest_one_ends(world):
    email = await world.registered()
    most = world.settings.sessions_per_user
    tokens = [(await world.login(email)).json()["data"] for _ in range(most + 1)]
    assert (await world.refresh(tokens[0]["refreshToken"])).status_code == 401
    assert (await world.refresh(tokens[1]["refreshToken"])).status_code == 200


async def test_the_account_needs_a_token_of_a_user_in_development_too(world):
    for path in ("/auth/profile", "/auth/sessions"):
        assert (await world.http.get(path)).status_code == 401
        reply = await world.http.get(path, headers={"Authorization": "Bearer x.y.z"})
        assert reply.status_code == 401
