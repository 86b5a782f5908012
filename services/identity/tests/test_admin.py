"""Operators: roles by two people, disabled users, and tokens of the operators' audience."""

import psycopg
import pytest
from identity_world import claims_of

from payment_schemas.events.record import AuditRecorded
from payment_schemas.scopes import ROLES
from testbed.service import published_events
from testkit.operators import actor, approval_of, signed_in

pytestmark = pytest.mark.stack
ALICE, BOB = (signed_in("identity.write", "ops.read", name=name) for name in ("alice", "bob"))


async def user_of(world, email):
    """Return the subject of a user."""
    tokens = (await world.login(email)).json()["data"]
    return claims_of(tokens["token"])["sub"]


async def given(world, user, roles):
    """Let two operators give a user these roles."""
    path = f"/admin/users/{user}/roles"
    proposed = await world.http.post(path, json={"roles": roles}, headers=ALICE)
    seen = approval_of(proposed.json())
    assert (await world.http.post(**seen, headers=BOB)).status_code == 200


async def test_an_operators_token_has_the_scopes_of_the_roles_and_another_audience(world):
    email = await world.registered()
    user = await user_of(world, email)
    assert (await world.login(email, **{"as": "operator"})).status_code == 403
    await given(world, user, ["viewer", "approver"])

    tokens = (await world.login(email, **{"as": "operator"})).json()["data"]

    claims = claims_of(tokens["token"])
    assert claims["aud"] == "countersign-operators"
    assert set(claims["scope"].split()) == {*ROLES["viewer"], *ROLES["approver"]}
    refused = await world.http.get(
        "/auth/profile", headers={"Authorization": f"Bearer {tokens['token']}"}
    )
    assert refused.status_code == 401
    await given(world, user, [])
    assert (await world.refresh(tokens["refreshToken"])).status_code == 401


async def test_a_disabled_user_cannot_sign_in_and_all_sessions_end(world, stack):
    email = await world.registered()
    tokens = (await world.login(email)).json()["data"]
    user = claims_of(tokens["token"])["sub"]

    done = await world.http.post(f"/admin/users/{user}/disable", headers=ALICE)

    assert done.json() == {"user": user, "sessions_ended": 1}
    assert (await world.refresh(tokens["refreshToken"])).status_code == 401
    refused = await world.login(email)
    assert (refused.status_code, refused.json()["details"]) == (401, "E-mail or password is wrong")
    await world.http.post(f"/admin/users/{user}/enable", headers=ALICE)
    assert (await world.login(email)).status_code == 200
    shown = (await world.http.get(f"/admin/users/{user}", headers=BOB)).json()
    assert (shown["sessions"], shown["disabledAt"], email in str(shown)) == (1, None, False)
    records = await published_events(stack.brokers, AuditRecorded, actor("bob"), 1)
    assert records


@pytest.mark.parametrize(
    "statement",
    [
        "insert into client values ('mine', array['payment.confirm'], array['x'], now())",
        "insert into operator_roles select id, array['admin'] from app_user limit 1",
    ],
)
async def test_the_database_refuses_what_two_people_have_not_approved(world, statement):
    await world.registered()
    refused = pytest.raises(psycopg.errors.RaiseException, match="approval of a second person")
    with psycopg.connect(world.database.dsn) as connection, refused:
        connection.execute(statement)


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/admin/users/cs_user_1/roles", {"roles": ["viewer"]}, 404),
        ("/admin/users/usr-456/disable", None, 404),
        ("/admin/clients/unknown/disable", None, 404),
        ("/admin/clients", {"client_id": "a-b", "scopes": ["ops.read"], "secrets_sha256": []}, 400),
    ],
)
async def test_an_unknown_user_or_scope_is_refused(world, path, body, status):
    assert (await world.http.post(path, json=body, headers=ALICE)).status_code == status
