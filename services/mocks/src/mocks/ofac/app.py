"""Wires the sanctions screening mock."""

from fastapi import Request
from fastapi.responses import Response

from mocks.bodies import read_json
from mocks.edge import Mock
from mocks.ofac.screening import Parties, Party, SanctionsList, screen
from mocks.settings import OfacSettings
from service_runtime.artefacts import load_artefact
from service_runtime.clock import Clock
from service_runtime.process import Process
from service_runtime.web import JsonResponse


def create(settings: OfacSettings, clock: Clock | None = None) -> Process:
    """Return the mock, ready to run."""
    mock = Mock("ofac", settings, clock)
    artefact = load_artefact("sanctions", settings.sanctions_manifest)
    sanctions = SanctionsList.model_validate_json(artefact.content)

    async def screen_one(request: Request) -> Response:
        party = await read_json(request, Party)
        return JsonResponse({"list_version": artefact.version, **screen(party, sanctions)})

    async def screen_many(request: Request) -> Response:
        parties = (await read_json(request, Parties)).parties
        results = [screen(party, sanctions) for party in parties]
        return JsonResponse({"list_version": artefact.version, "results": results})

    mock.app.add_route("/screenings", screen_one, methods=["POST"])
    mock.app.add_route("/screenings:batch", screen_many, methods=["POST"])
    return mock.process()
