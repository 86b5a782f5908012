"""Wires the token issuer."""

from fastapi import Request
from fastapi.responses import Response

from mocks.bodies import read_json
from mocks.edge import Mock
from mocks.issuer.tokens import Issuer, TokenRequest
from mocks.settings import IssuerSettings
from service_runtime.clock import Clock
from service_runtime.process import Process
from service_runtime.web import JsonResponse


def create(settings: IssuerSettings, clock: Clock | None = None) -> Process:
    """Return the mock, ready to run."""
    mock = Mock("issuer", settings, clock)
    issuer = Issuer(settings, mock.clock)

    async def token(request: Request) -> Response:
        issued = issuer.issue(await read_json(request, TokenRequest))
        # RFC 6749, 5.1: a token must not be cached.
        return JsonResponse(issued, headers={"Cache-Control": "no-store"})

    async def keys(_request: Request) -> Response:
        return JsonResponse(issuer.jwks())

    mock.app.add_route("/token", token, methods=["POST"])
    mock.app.add_route("/.well-known/jwks.json", keys, methods=["GET"])
    return mock.process()
