"""Wires the token issuer."""

from fastapi import Request
from fastapi.responses import Response

from mocks.bodies import read_json
from mocks.edge import Mock
from mocks.issuer.grants import Grants
from mocks.issuer.routes import SignIn, token_route
from mocks.issuer.tokens import Issuer, TokenRequest
from mocks.settings import IssuerSettings
from service_runtime.clock import Clock
from service_runtime.process import Process
from service_runtime.web import JsonResponse


def create(settings: IssuerSettings, clock: Clock | None = None) -> Process:
    """Return the mock, ready to run."""
    mock = Mock("issuer", settings, clock)
    issuer = Issuer(settings, mock.clock)
    sign_in = SignIn(issuer, Grants(settings, mock.clock))

    async def token_of_user(request: Request) -> Response:
        return JsonResponse(issuer.issue(await read_json(request, TokenRequest)))

    async def keys(_request: Request) -> Response:
        return JsonResponse(issuer.jwks())

    mock.app.add_route("/token", token_route(sign_in, token_of_user), methods=["POST"])
    mock.app.add_route("/.well-known/jwks.json", keys, methods=["GET"])
    sign_in.add_to(mock.app)
    return mock.process()
