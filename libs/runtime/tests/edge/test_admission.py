"""Routes of any API service declare their access; the edge refuses with the contract's bodies."""

import hashlib
import json
from dataclasses import replace
from typing import Annotated

import httpx
import pytest
from fastapi import Depends, Request

from service_runtime.credentials import Credentials
from service_runtime.edge import Access, Admission, Caller
from service_runtime.edge.admission import FORWARD
from service_runtime.edge.limits import MemoryLimits
from service_runtime.tokens import TokenRules, TokenVerifier
from service_runtime.web import create_app
from testkit.events import NOON
from testkit.memory import SteadyClock
from testkit.tokens import AUDIENCE, ISSUER, MemoryKeys, token

WRITE = Access("webhooks.write", per_minute=2)
READ = Access("webhooks.read", per_minute=1, limit="read")


@pytest.fixture
def admission():
    return Admission(
        tokens=TokenVerifier(MemoryKeys(), TokenRules(ISSUER, AUDIENCE)),
        limits=MemoryLimits(NOON.timestamp),
        failures_per_minute=2,
    )


@pytest.fixture
async def http(admission):
    app = create_app("webhooks", {}, SteadyClock(NOON))

    @app.post("/webhooks")
    async def add(caller: Annotated[Caller, Depends(admission.require(WRITE))]):
        return {"owner": caller.user_id}

    @app.get("/webhooks")
    async def show(caller: Annotated[Caller, Depends(admission.require(READ))]):
        return {"owner": caller.user_id}

    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://x") as client:
        client.app = app
        yield client


def bearer(scope, user="usr-1"):
    return {"Authorization": f"Bearer {token(sub=user, scope=scope)}"}


async def test_a_route_gets_the_user_of_a_token_with_its_scope(http):
    response = await http.post("/webhooks", headers=bearer("webhooks.write"))

    assert (response.status_code, response.json()) == (200, {"owner": "usr-1"})


async def test_a_token_without_the_routes_scope_is_forbidden(http):
    response = await http.post("/webhooks", headers=bearer("webhooks.read"))

    assert response.status_code == 403
    assert response.text == '{"error":"Forbidden","details":"Scope webhooks.write required"}'


async def test_a_request_without_a_token_is_unauthorized(http):
    response = await http.post("/webhooks")

    assert response.status_code == 401
    assert response.text == '{"error":"Unauthorized","details":"A bearer token is required"}'
    assert response.headers["www-authenticate"] == "Bearer"


async def test_failed_authentications_of_one_address_are_limited(http):
    statuses = [(await http.post("/webhooks")).status_code for _ in range(3)]

    assert statuses == [401, 401, 429]
    assert (await http.post("/webhooks", headers=bearer("webhooks.write"))).status_code == 200


async def test_each_limit_counts_each_user_apart(http):
    both = "webhooks.write webhooks.read"
    writes = [await http.post("/webhooks", headers=bearer(both)) for _ in range(3)]

    assert [one.status_code for one in writes] == [200, 200, 429]
    assert writes[2].headers["ratelimit"] == '"user";r=0;t=60'
    assert (await http.get("/webhooks", headers=bearer(both))).status_code == 200
    assert (await http.post("/webhooks", headers=bearer(both, "usr-2"))).status_code == 200


@pytest.mark.parametrize(
    ("by", "address"),
    [
        pytest.param("Bearer gateways", "203.0.113.9", id="the gateway's credential"),
        pytest.param("Bearer guessed", "192.0.2.7", id="a guessed one"),
        pytest.param("Bearer machines", "192.0.2.7", id="a machine without the scope"),
        pytest.param(None, "192.0.2.7", id="none"),
    ],
)
def test_the_gateway_alone_names_the_client_of_a_forwarded_request(admission, by, address):
    def machine(secret, scope):
        return {"sha256": hashlib.sha256(secret.encode()).hexdigest(), "scopes": [scope]}

    known = {"gateway": machine("gateways", FORWARD), "ops": machine("machines", "check.read")}
    headers = {"x-forwarded-for": "203.0.113.9"} | ({"x-forwarded-by": by} if by else {})
    raw = [(name.encode(), value.encode()) for name, value in headers.items()]
    request = Request({"type": "http", "headers": raw, "client": ("192.0.2.7", 1)})

    assert replace(admission, machines=Credentials(json.dumps(known))).address(request) == address


def test_the_description_says_that_a_token_is_required(http):
    document = http.app.openapi()

    assert document["paths"]["/webhooks"]["post"]["security"] == [{"HTTPBearer": []}]
