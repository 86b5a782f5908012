"""Wires the sanctions screening mock."""

from fastapi import Request
from fastapi.responses import Response

from mocks.bodies import read_json
from mocks.edge import Mock
from mocks.ofac.screening import LIST_VERSION, Parties, Party, screen
from mocks.settings import OfacSettings
from service_runtime.clock import Clock
from service_runtime.process import Process
from service_runtime.web import JsonResponse


def create(settings: OfacSettings, clock: Clock | None = None) -> Process:
    """Return the mock, ready to run."""
    mock = Mock("ofac", settings, clock)
    mock.app.add_route("/screenings", _screen_one, methods=["POST"])
    mock.app.add_route("/screenings:batch", _screen_many, methods=["POST"])
    return mock.process()


async def _screen_one(request: Request) -> Response:
    party = await read_json(request, Party)
    return JsonResponse({"list_version": LIST_VERSION, **screen(party)})


async def _screen_many(request: Request) -> Response:
    parties = (await read_json(request, Parties)).parties
    return JsonResponse(
        {"list_version": LIST_VERSION, "results": [screen(party) for party in parties]}
    )
