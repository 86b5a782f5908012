"""Register, sign in and see the own account, on the real service."""

import asyncio

import argon2
import jwt
import pytest
from identity_world import PASSWORD, bearer, claims_of

from payment_schemas.events.record import AuditRecorded
from payment_schemas.scopes import CUSTOMER_SCOPES
from testbed.service import published_events

pytestmark = pytest.mark.stack


async def test_a_new_user_gets_a_token_with_the_scopes_of_customers_alone(world):
    tokens = await world.signed_in()
    claims = claims_of(tokens["token"])

    assert (tokens["expiresIn"], tokens["tokenType"]) == ("15m", "Bearer")
    assert claims["scope"].split() == sorted(CUSTOMER_SCOPES)
    assert claims["exp"] - claims["iat"] == 900
    assert claims["sub"].startswith("cs_user_")
    assert (claims["iss"], claims["aud"]) == (world.settings.token_issuer, "countersign")


async def test_a_token_verifies_under_a_published_key_and_shows_the_own_account(world):
    email = await world.registered()
    tokens = (await world.login(email.upper())).json()["data"]
    (key,) = (await world.http.get("/.well-known/jwks.json")).json()["keys"]

    jwt.decode(tokens["token"], jwt.PyJWK(key), ["EdDSA"], audience="countersign")
    profile = await world.http.get("/auth/profile", headers=bearer(tokens))
    assert profile.json()["data"]["email"] == email
    assert profile.headers["cache-control"] == "no-store"


async def test_an_unknown_address_and_a_wrong_password_get_the_same_response(world):
    email = await world.registered()

    wrong, unknown = await world.login(email, "wrong"), await world.login("no@example.com", "wrong")

    assert (wrong.status_code, wrong.content) == (unknown.status_code, unknown.content)
    assert wrong.status_code == 401


async def test_an_unknown_address_costs_the_verification_of_a_password(world, monkeypatch):
    verified = []
    monkeypatch.setattr(
        "identity.clients.passwords._is_right", lambda *values: verified.append(values) or False
    )
    await world.login("no@example.com", "wrong")
    assert len(verified) == 1


@pytest.mark.parametrize(
    ("change", "field"),
    [
        pytest.param({"email": "no address"}, "email", id="no address"),
        pytest.param({"email": f"{'a' * 250}@b.com"}, "email", id="an address that is too long"),
        pytest.param({"password": "short"}, "password", id="a short password"),
        pytest.param({"password": "Iloveyou"}, "password", id="a password that many people have"),
        pytest.param({"password": "x" * 257}, "password", id="a password that is too long"),
        pytest.param({"admin": True}, "admin", id="a field that nobody may set"),
    ],
)
async def test_an_invalid_registration_is_refused_with_the_name_of_its_field(world, change, field):
    body = {"email": "eve@example.com", "password": PASSWORD, **change}
    reply = await world.post("/auth/register", body)
    assert reply.status_code == 400
    assert reply.json()["error"] == f"Invalid field: {field}"
    assert str(change[field]) not in reply.text


async def test_one_address_has_one_account(world):
    email = await world.registered()
    body = {"email": email.title(), "password": PASSWORD}
    replies = await asyncio.gather(*[world.post("/auth/register", body) for _ in range(3)])
    assert {reply.status_code for reply in replies} == {409}
    assert replies[0].json()["error"] == "Conflict: email"


async def test_sign_ins_to_one_account_are_limited_until_its_owner_signs_in(world):
    email, other = await world.registered(), await world.registered()
    most = world.settings.logins_per_account
    for _ in range(most - 1):
        await world.login(email, "wrong")
    assert (await world.login(email)).status_code == 200
    replies = [await world.login(email, "wrong") for _ in range(most + 1)]
    assert [reply.status_code for reply in replies] == [401] * most + [429]
    assert int(replies[-1].headers["retry-after"]) > 800
    assert (await world.login(email)).status_code == 429
    assert (await world.login(other)).status_code == 200


async def test_a_sign_in_is_in_the_audit_log_and_no_password_is_in_the_database(world, stack):
    tokens = await world.signed_in()
    claims = claims_of(tokens["token"])
    actor = f"{claims['iss']}|{claims['sub']}"

    records = await published_events(stack.brokers, AuditRecorded, actor, 2)

    assert [record.action for record in records] == ["USER_REGISTERED", "SIGNED_IN"]
    assert (records[1].about, list(records[1].metadata)) == (claims["sid"], ["ip_address"])
    stored = str(world.rows("select row_to_json(u) from app_user u"))
    stored += str(world.rows("select row_to_json(t) from refresh_token t"))
    assert "m=19456,t=2,p=1" in stored
    assert PASSWORD not in stored
    assert tokens["refreshToken"] not in stored


async def test_a_changed_password_ends_every_session(world):
    email = await world.registered()
    first, second = [(await world.login(email)).json()["data"] for _ in range(2)]
    change = {"currentPassword": PASSWORD, "newPassword": "another horse battery"}

    wrong = await world.post(
        "/auth/password", {**change, "currentPassword": "wrong"}, **bearer(first)
    )
    done = await world.post("/auth/password", change, **bearer(first))

    assert (wrong.status_code, done.status_code) == (401, 200)
    for tokens in (first, second):
        assert (await world.refresh(tokens["refreshToken"])).status_code == 401
    assert (await world.login(email)).status_code == 401
    assert (await world.login(email, change["newPassword"])).status_code == 200


async def test_a_password_of_older_parameters_is_hashed_anew_at_the_next_sign_in(world):
    email = await world.registered()
    newest = "select id from app_user order by created_at desc limit 1"
    ((user_id,),) = world.rows(newest)
    weak = argon2.PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(PASSWORD)
    world.rows("update app_user set password = %s where id = %s returning 1", weak, user_id)
    assert (await world.login(email)).status_code == 200
    ((new,),) = world.rows("select password from app_user where id = %s", user_id)
    assert "m=19456,t=2,p=1" in new


async def test_a_password_is_verified_exactly_as_it_was_entered(world):
    email = await world.registered()
    for other in (PASSWORD.upper(), f"{PASSWORD} ", PASSWORD[:-1]):
        assert (await world.login(email, other)).status_code == 401
