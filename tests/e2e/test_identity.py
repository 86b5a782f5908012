"""Accounts and tokens of identity, through the gateway of the running system."""

import re
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import httpx
import psycopg
import pytest

from local_stack.stack import Stack
from ops.clients.addresses import Addresses
from ops.clients.provider import DeviceCode, Provider
from ops.clients.sessions import Session, Tokens
from payment_schemas.scopes import ROLES
from service_runtime.clock import SystemClock
from testbed.command import Command

pytestmark = pytest.mark.stack
PASSWORD = "correct horse battery"


@pytest.fixture(scope="module")
def gateway(system: Stack) -> Iterator[httpx.Client]:
    """The gateway of the system, beside which identity has been started."""
    system.start_services(["identity"])
    with httpx.Client(base_url=system.description().url("gateway"), timeout=20) as client:
        yield client


def test_a_new_user_is_known_to_the_gateway_by_a_token_of_identity(gateway: httpx.Client) -> None:
    account = {"email": f"{uuid4().hex}@example.com", "password": PASSWORD}
    user = gateway.post("/auth/register", json=account).json()["data"]
    tokens = gateway.post("/auth/login", json=account).json()["data"]
    signed_in = {"Authorization": f"Bearer {tokens['token']}"}

    profile = gateway.get("/auth/profile", headers=signed_in).json()["data"]
    unknown = gateway.get("/payment/tx-of-nobody", headers=signed_in)
    refreshed = gateway.post("/auth/refresh", json={"refreshToken": tokens["refreshToken"]})

    assert profile["id"] == user["id"]
    assert (unknown.status_code, unknown.json()["error"]) == (404, "Unknown payment: tx-of-nobody")
    assert refreshed.status_code == 200


def test_the_printed_call_for_a_clients_token_works_in_development(gateway: httpx.Client) -> None:
    printed = {"clientId": "test-client", "clientSecret": "test-secret-key"}
    reply = gateway.post("/api/v1/auth/token", json=printed).json()
    assert reply["success"] is True
    assert set(reply["data"]) == {"token", "expiresIn", "tokenType"}
    headers = {"Authorization": f"Bearer {reply['data']['token']}"}
    assert gateway.get("/payment/tx-of-nobody", headers=headers).status_code == 404
    keys = gateway.get("/.well-known/jwks.json").json()["keys"]
    assert [key["alg"] for key in keys] == ["EdDSA"]


def registered(gateway: httpx.Client) -> tuple[dict[str, str], str]:
    """Return address and password of a new user, and the subject."""
    account = {"email": f"{uuid4().hex}@example.com", "password": PASSWORD}
    return account, gateway.post("/auth/register", json=account).json()["data"]["id"]


def test_the_command_signs_an_operator_in_at_identity_by_its_page(
    gateway: httpx.Client, system: Stack, tmp_path: Path
) -> None:
    account, user = registered(gateway)
    found = system.description()
    with psycopg.connect(found.owner_dsn("identity")) as owner:
        owner.execute(
            "insert into identity.operator_roles values (%s::uuid, array['viewer', 'approver'])",
            (user[-32:],),
        )
    pages = []

    def approve(code: DeviceCode) -> None:
        """Do what the person does at the page, through the gateway."""
        page = gateway.get("/device", params={"user_code": code.user_code})
        pages.append(page)
        waiting = re.findall(r'name="user_code" value="([A-Z]{8})"', page.text)[0]
        form = {**account, "user_code": waiting, "decision": "approve"}
        sent = {"Sec-Fetch-Site": "same-origin"}
        assert "is signed in" in gateway.post("/device", data=form, headers=sent).text

    provider = Provider(Addresses(operator_issuer=found.url("identity")))
    session = Session(provider, Tokens(tmp_path), "", SystemClock())
    signed = session.sign_in(approve, lambda _seconds: None)

    assert signed.claims["sub"] == user
    assert set(signed.claims["scope"].split()) == {*ROLES["viewer"], *ROLES["approver"]}
    assert "form-action 'self'" in pages[0].headers["content-security-policy"]
    renewed = provider.refreshed(signed.refresh_token)
    assert renewed is not None
    assert session.sign_out() is True
    assert provider.refreshed(renewed["refresh_token"]) is None
    session.close()


async def test_two_operators_add_a_client_and_grant_roles_by_the_command(
    gateway: httpx.Client, countersign: Command
) -> None:
    _account, user = registered(gateway)
    redirect = "https://app.acme.example/signed-in"
    added = ("clients", "add", "acme-app", "--scope", "payment.read", "--redirect", redirect)
    for act in (added, ("operators", "role", user, "viewer")):
        _, proposed = await countersign.json(*act)
        assert (await countersign("approve", proposed["proposal"]))[0] == 1
        status, _, error = await countersign("approve", proposed["proposal"], by="bob")
        assert status == 0, error
    _, listed = await countersign.json("clients", "list")
    (app,) = [one for one in listed["clients"] if one["client_id"] == "acme-app"]
    assert (app["grants"], app["redirect_uris"]) == (["authorization_code"], [redirect])
    _, people = await countersign.json("operators", "list")
    assert [one["roles"] for one in people["operators"] if one["user"] == user] == [["viewer"]]
    assert (await countersign("operators", "role", user, "viewer", by="carol"))[0] == 2
    assert (await countersign("clients", "disable", "acme-app"))[0] == 0
