"""Tokens of clients, the published keys, and their rotation."""

import base64
import hashlib
from contextlib import asynccontextmanager

import httpx
import pytest
from authlib.oauth2.rfc8414 import AuthorizationServerMetadata
from identity_world import claims_of

from identity.app import build
from service_runtime.http_client import HttpResponse
from service_runtime.keys import KeyRing
from service_runtime.tokens import TokenRules, TokenVerifier
from testbed.service import client_of, running
from testkit.operators import approval_of, signed_in

pytestmark = pytest.mark.stack
SECRET = base64.urlsafe_b64encode(b"s" * 32).decode()
ALICE, BOB = (signed_in("identity.write", "ops.read", name=name) for name in ("alice", "bob"))


@pytest.fixture
async def client(world):
    """A client with one scope, which two operators have added."""
    body = {
        "client_id": "acme-shop",
        "scopes": ["payment.confirm"],
        "secrets_sha256": [hashlib.sha256(SECRET.encode()).hexdigest()],
    }
    proposed = await world.http.post("/admin/clients", json=body, headers=ALICE)
    seen = approval_of(proposed.json())
    assert (await world.http.post(**seen, headers=ALICE)).status_code == 409
    assert (await world.http.post(**seen, headers=BOB)).status_code == 200
    return {"clientId": "acme-shop", "clientSecret": SECRET}


async def test_the_printed_call_returns_a_token_of_the_client(world, client):
    reply = await world.post("/api/v1/auth/token", client)
    data = reply.json()["data"]
    assert reply.json() == {
        "success": True,
        "data": {"token": data["token"], "expiresIn": "15m", "tokenType": "Bearer"},
    }
    claims = claims_of(data["token"])
    assert (claims["sub"], claims["scope"]) == ("cs_client_acme-shop", "payment.confirm")
    assert claims["client_id"] == "acme-shop"


@pytest.mark.parametrize("place", ["header", "form"])
async def test_the_standard_form_returns_a_token_in_the_standard_shape(world, client, place):
    form = {"grant_type": "client_credentials", "scope": "payment.confirm"}
    name, secret = client.values()
    if place == "form":
        form |= {"client_id": name, "client_secret": secret}
    auth = httpx.BasicAuth(name, secret) if place == "header" else None
    reply = await world.http.post("/api/v1/auth/token", data=form, auth=auth)
    found = reply.json()
    assert (found["token_type"], found["expires_in"]) == ("Bearer", 900)
    assert claims_of(found["access_token"])["scope"] == found["scope"] == "payment.confirm"


@pytest.mark.parametrize(
    ("change", "status", "error"),
    [
        pytest.param({"client_secret": "wrong"}, 401, "invalid_client", id="a wrong secret"),
        pytest.param({"client_id": "nobody"}, 401, "invalid_client", id="an unknown client"),
        pytest.param({"scope": "ops.read"}, 400, "invalid_scope", id="a scope that it has not"),
        pytest.param({"grant_type": "password"}, 400, "unsupported_grant_type", id="a grant"),
        pytest.param({"scope": ["a", "b"]}, 400, "invalid_request", id="a field given twice"),
    ],
)
async def test_a_form_is_refused_in_the_standard_shape(world, client, change, status, error):
    name, secret = client.values()
    form = {"grant_type": "client_credentials", "client_id": name, "client_secret": secret}
    reply = await world.http.post("/api/v1/auth/token", data=form | change)
    assert (reply.status_code, reply.json()["error"]) == (status, error)


async def test_an_unknown_client_and_a_wrong_secret_get_the_same_response(world, client):
    wrong = await world.post("/api/v1/auth/token", client | {"clientSecret": "wrong"})
    unknown = await world.post("/api/v1/auth/token", client | {"clientId": "nobody"})
    assert (wrong.status_code, wrong.content) == (401, unknown.content)
    missing = await world.post("/api/v1/auth/token", {"clientId": "acme-shop"})
    assert (missing.status_code, missing.json()["error"]) == (400, "Invalid field: clientSecret")
    assert (await world.http.post("/api/v1/auth/token", content=b"x")).status_code == 415


async def test_one_operator_stops_a_client_and_a_clients_token_is_no_users(world, client):
    token = (await world.post("/api/v1/auth/token", client)).json()["data"]["token"]
    profile = await world.http.get("/auth/profile", headers={"Authorization": f"Bearer {token}"})
    assert profile.status_code == 403

    for state, status in (("disable", 401), ("enable", 200)):
        done = await world.http.post(f"/admin/clients/acme-shop/{state}", headers=ALICE)
        assert done.status_code == 200
        assert (await world.post("/api/v1/auth/token", client)).status_code == status
    listed = (await world.http.get("/admin/clients", headers=ALICE)).json()["clients"]
    assert {one["client_id"]: one["secrets"] for one in listed}["acme-shop"] == 1


async def test_the_description_names_the_issuer_and_its_addresses(world):
    found = (await world.http.get("/.well-known/openid-configuration")).json()
    issuer = world.settings.token_issuer
    assert found["issuer"] == issuer
    assert found["jwks_uri"] == f"{issuer}/.well-known/jwks.json"
    assert (await world.http.get(found["jwks_uri"].removeprefix(issuer))).status_code == 200
    # Authlib's rules demand https, which a stack of tests has not.
    secure = {
        name: value.replace("http:", "https:") if isinstance(value, str) else value
        for name, value in found.items()
    }
    AuthorizationServerMetadata(secure).validate()
    assert found["response_types_supported"] == ["code"]
    assert found["code_challenge_methods_supported"] == ["S256"]


@asynccontextmanager
async def with_ring(settings, *lines):
    """Run the service on a ring of these keys."""
    ring = KeyRing(*lines)
    own = settings.model_copy(update={"signing_keys": ring})
    async with running(build(own)) as process, client_of(process) as http:
        yield http


class Published:
    """The key set of a service, as a verifier fetches it."""

    def __init__(self, http):
        self.http = http

    async def get(self, _path):
        reply = await self.http.get("/.well-known/jwks.json")
        return HttpResponse(reply.status_code, reply.json())


async def test_tokens_of_the_former_key_are_accepted_until_it_is_retired(world, client, settings):
    old, new = b"o" * 32, b"n" * 32
    rules = TokenRules(settings.token_issuer, settings.token_audience)

    async def issued(http):
        return (await http.post("/api/v1/auth/token", json=client)).json()["data"]["token"]

    async with with_ring(settings, old) as http:
        former = await issued(http)
    async with with_ring(settings, new, old) as http:
        verifier = TokenVerifier(Published(http), rules)
        assert (await verifier.caller(former)).user_id == "cs_client_acme-shop"
        assert (await verifier.caller(await issued(http))).user_id == "cs_client_acme-shop"
    async with with_ring(settings, new) as http:
        with pytest.raises(ValueError, match="kid: unknown"):
            await TokenVerifier(Published(http), rules).caller(former)
