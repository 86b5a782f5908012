"""Accounts and tokens of identity, through the gateway of the running system."""

from collections.abc import Iterator
from uuid import uuid4

import httpx
import pytest

from local_stack.stack import Stack

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
