"""Operators: roles by two people, disabled users, and tokens of the operators' audience."""

import psycopg
import pytest
from identity_world import claims_of

from payment_schemas.events.record import AuditRecorded
from payment_schemas.scopes import ROLES
from testbed.service import published_events
from testkit.operators import actor, approval_of, signed_in

pytestmark = pytest.mark.stack
ALICE, BOB = (
    signed_in("identity.write", "roles.grant", "ops.read", name=name) for name in ("alice", "bob")
)


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


async def test_roles_come_from_an_admin_and_never_from_oneself(world):
    user = await user_of(world, await world.registered())
    path, body = f"/admin/users/{user}/roles", {"roles": ["admin"]}
    by_approver = signed_in("identity.write", "ops.read")
    assert (await world.http.post(path, json=body, headers=by_approver)).status_code == 403
    own = signed_in("roles.grant", "identity.write", name=user)
    refused = await world.http.post(path, json=body, headers=own)
    assert (refused.status_code, refused.json()["details"]) == (
        403, "nobody grants roles to oneself",
    )  # fmt: skip

    proposed = (await world.http.post(path, json=body, headers=ALICE)).json()
    assert (await world.http.post(**approval_of(proposed), headers=own)).status_code == 403
    assert (await world.http.post(**approval_of(proposed), headers=BOB)).status_code == 200
    listed = (await world.http.get("/admin/operators?limit=200", headers=BOB)).json()["operators"]
    assert {"user": user, "roles": ["admin"]}.items() <= {
        key: value for one in listed if one["user"] == user for key, value in one.items()
    }.items()


async def test_the_database_knows_that_nobody_grants_roles_to_oneself(world, monkeypatch):
    monkeypatch.setattr("identity.routes.admin.is_own", lambda *_: False)
    user = await user_of(world, await world.registered())
    own = signed_in("roles.grant", "identity.write", name=user)
    path, body = f"/admin/users/{user}/roles", {"roles": ["admin"]}
    for proposer, approver in ((own, BOB), (ALICE, own)):
        proposed = (await world.http.post(path, json=body, headers=proposer)).json()
        refused = await world.http.post(**approval_of(proposed), headers=approver)
        assert refused.status_code >= 400
    assert world.rows("select roles from operator_roles where user_id = %s::uuid", user[-32:]) == []


@pytest.mark.parametrize(
    "change",
    [
        {"grants": ["authorization_code"], "redirect_uris": []},
        {"grants": ["authorization_code"], "redirect_uris": ["http://evil.example/"]},
        {"grants": ["client_credentials"]},
        {"grants": ["client_credentials"], "kind": "operator", "scopes": ["ops.read"]},
        {"kind": "customer", "scopes": ["ops.read"]},
        {"grants": ["password"]},
    ],
)
async def test_a_client_that_could_harm_is_not_even_proposed(world, change):
    body = {"client_id": "acme-app", "scopes": ["payment.read"], "secrets_sha256": []} | {
        "grants": ["authorization_code"],
        "redirect_uris": ["https://app.example/"],
    }
    assert (await world.http.post("/admin/clients", json=body, headers=ALICE)).status_code == 202
    assert (
        await world.http.post("/admin/clients", json=body | change, headers=ALICE)
    ).status_code == 400


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
