"""A provider that nobody here wrote: its users are admitted in production by settings alone."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Annotated

import pytest
from authlib.oauth2.rfc9068 import JWTBearerTokenGenerator
from fastapi import Depends
from joserfc.jwk import ECKey, KeySet

from service_runtime.edge import Access, Admission, Caller, EdgeSettings
from service_runtime.service import Service
from service_runtime.settings import load
from testbed.service import client_of, running

KEYS = KeySet([ECKey.generate_key("P-256", {"use": "sig", "alg": "ES256"}, auto_kid=True)])


class Tokens(JWTBearerTokenGenerator):
    """Authlib's access tokens, for one audience."""

    def get_jwks(self):
        return KEYS

    def get_audiences(self, client, user, scope):
        return client.audience


class Client:
    """Who asks for a token."""

    def __init__(self, audience="countersign"):
        self.audience = audience

    def get_client_id(self):
        return "outside-shop"

    def get_allowed_scope(self, scope):
        return scope


class Published(BaseHTTPRequestHandler):
    """The provider's key set."""

    def do_GET(self):
        body = json.dumps(KEYS.as_dict(private=False)).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_arguments):
        """Print nothing."""


@pytest.fixture(scope="module")
def provider():
    with ThreadingHTTPServer(("127.0.0.1", 0), Published) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture
async def http(provider, monkeypatch, tmp_path):
    """A service in production that knows the provider by its settings."""
    (tmp_path / "redis").write_text("a secret of this system")
    environment = {
        "PROFILE": "prod",
        "PORT": "3000",
        "REDIS_URL": "redis://127.0.0.1:1",
        "REDIS_PASSWORD_FILE": str(tmp_path / "redis"),
        "JWKS_URL": f"{provider}/jwks",
        "TOKEN_ISSUER": provider,
        "TOKEN_AUDIENCE": "countersign",
    }
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    settings = load(EdgeSettings)
    service = Service("shop", settings)
    may_pay = Admission.of(service, settings).require(Access("payment.confirm", per_minute=60))

    @service.app.get("/me")
    async def me(caller: Annotated[Caller, Depends(may_pay)]) -> str:
        return caller.user_id

    async with running(service.process()) as process, client_of(process) as http:
        yield http


def issued(provider, client, scope="payment.confirm", life_s=600):
    """Return the header of a token that Authlib has issued."""
    tokens = Tokens(issuer=provider, alg="ES256", expires_generator=lambda *_about: life_s)
    found = tokens.generate("client_credentials", client, scope=scope)
    return {"Authorization": f"Bearer {found['access_token']}"}


async def test_a_token_of_an_outside_provider_is_accepted_by_settings_alone(http, provider):
    reply = await http.get("/me", headers=issued(provider, Client()))
    assert (reply.status_code, reply.json()) == (200, "outside-shop")


async def test_its_token_for_another_audience_or_without_the_scope_is_refused(http, provider):
    other = await http.get("/me", headers=issued(provider, Client("another-api")))
    without = await http.get("/me", headers=issued(provider, Client(), scope="openid"))
    longer = await http.get("/me", headers=issued(provider, Client(), life_s=3600))
    assert (other.status_code, without.status_code, longer.status_code) == (401, 403, 401)
