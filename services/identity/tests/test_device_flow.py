"""The device flow: the command of operators, and the page of the person."""

from datetime import timedelta
from uuid import uuid4

import pytest
from identity_world import Browser, Page, claims_of

from payment_schemas.events.record import AuditRecorded
from payment_schemas.scopes import ROLES
from testbed.service import published_events
from testkit.operators import approval_of, signed_in

pytestmark = pytest.mark.stack
GRANT = "urn:ietf:params:oauth:grant-type:device_code"
SCOPE = "openid offline_access ops.read ops.write cases.approve"
ALICE, BOB = (signed_in("identity.write", "roles.grant", name=name) for name in ("alice", "bob"))


@pytest.fixture
async def operator(world):
    """A person with the role of an operator, at a browser."""
    person = Browser(world.http, await world.registered())
    user = claims_of((await world.login(person.email)).json()["data"]["token"])["sub"]
    path = f"/admin/users/{user}/roles"
    proposed = await world.http.post(path, json={"roles": ["operator"]}, headers=ALICE)
    await world.http.post(**approval_of(proposed.json()), headers=BOB)
    return person


async def begun(world, scope=SCOPE):
    form = {"client_id": "countersign", "scope": scope}
    reply = await world.http.post("/device_authorization", data=form)
    assert reply.status_code == 200, reply.text
    return reply.json()


async def poll(world, device):
    form = {
        "grant_type": GRANT,
        "client_id": "countersign",
        "device_code": device["device_code"],
    }
    return await world.http.post("/token", data=form)


async def page_of(world, person, device):
    return await person.open(
        device["verification_uri_complete"].removeprefix(world.settings.token_issuer)
    )


async def test_an_operator_approves_the_command_which_gets_the_scopes_of_the_roles(
    world, operator, stack
):
    device = await begun(world)
    waiting = await poll(world, device)
    page = await page_of(world, operator, device)
    done = await operator.send(page, "/device")
    tokens = (await poll(world, device)).json()

    assert (waiting.status_code, waiting.json()["error"]) == (400, "authorization_pending")
    assert device["user_code"] in Page(page.text).text
    assert "the countersign command" in Page(page.text).text
    assert "The device is signed in" in done.text
    claims = claims_of(tokens["access_token"])
    assert (claims["aud"], claims["client_id"]) == ("countersign-operators", "countersign")
    assert set(claims["scope"].split()) == {*ROLES["operator"]} & set(SCOPE.split())
    assert claims_of(tokens["id_token"])["aud"] == "countersign"
    again = await poll(world, device)
    assert again.json()["error"] == "invalid_grant"
    form = {"grant_type": "refresh_token", "client_id": "countersign"}
    form["refresh_token"] = tokens["refresh_token"]
    assert (await world.http.post("/token", data=form)).status_code == 200
    actor = f"{claims['iss']}|{claims['sub']}"
    records = await published_events(stack.brokers, AuditRecorded, actor, 3)
    assert records[2].metadata["client"] == "countersign"


async def test_a_device_that_polls_too_often_is_slowed_down(world, operator):
    device = await begun(world)
    errors = [(await poll(world, device)).json()["error"] for _ in range(2)]
    world.clock.ahead = timedelta(seconds=6)
    errors.append((await poll(world, device)).json()["error"])
    world.clock.ahead += timedelta(seconds=16)
    errors.append((await poll(world, device)).json()["error"])
    assert errors == ["authorization_pending", "slow_down", "slow_down", "authorization_pending"]


async def test_who_denies_gives_nothing(world, operator):
    device = await begun(world)
    page = await page_of(world, operator, device)
    await operator.send(page, "/device", decision="deny")
    assert (await poll(world, device)).json()["error"] == "access_denied"
    assert (await operator.send(page, "/device")).status_code == 400


async def test_a_code_expires(world, operator):
    device = await begun(world)
    page = await page_of(world, operator, device)
    world.clock.ahead = timedelta(minutes=10)
    assert (await operator.send(page, "/device")).status_code == 400
    assert (await poll(world, device)).json()["error"] == "expired_token"


async def test_a_customer_without_a_role_cannot_sign_the_command_in(world):
    customer = Browser(world.http, await world.registered())
    device = await begun(world)
    refused = await customer.send(await page_of(world, customer, device), "/device")
    assert refused.status_code == 403
    assert (await poll(world, device)).json()["error"] == "authorization_pending"


async def test_a_wrong_password_and_a_form_of_another_site_approve_nothing(world, operator):
    device = await begun(world)
    page = await page_of(world, operator, device)
    assert (await operator.send(page, "/device", password="wrong")).status_code == 401
    operator.headers = {"Sec-Fetch-Site": "cross-site"}
    assert (await operator.send(page, "/device")).status_code == 403
    assert (await poll(world, device)).json()["error"] == "authorization_pending"


@pytest.mark.parametrize("code", ["", "BCDFGHJK", "%00", "<script>", "AAAA-AAAA", "x" * 300])
async def test_no_entered_code_makes_the_page_fail(world, code):
    reply = await world.http.get(f"/device?user_code={code}")
    assert reply.status_code == 400
    assert "<script>" not in reply.text
    assert (await world.http.get("/device")).status_code == 200


async def test_guesses_of_codes_are_limited(world, operator, monkeypatch):
    device, key = await begun(world), f"{uuid4()}"

    async def one(attempts, _address):
        await attempts._count("device-code", key, 1)

    monkeypatch.setattr("identity.clients.attempts.Attempts.device", one)
    statuses = [(await page_of(world, operator, device)).status_code for _ in range(2)]
    assert statuses == [200, 429]


@pytest.mark.parametrize(
    ("form", "error"),
    [
        ({"client_id": "nobody"}, "invalid_client"),
        ({"client_id": "test-client"}, "invalid_client"),
        ({}, "invalid_client"),
    ],
)
async def test_no_other_client_begins_a_device(world, form, error):
    reply = await world.http.post("/device_authorization", data=form)
    assert (reply.status_code, reply.json()["error"]) == (401, error)
