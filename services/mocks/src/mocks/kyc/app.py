"""Wires the identity mock."""

from fastapi import Request
from fastapi.responses import Response

from mocks.bodies import Refused, read_json
from mocks.edge import Mock
from mocks.kyc.customers import Customers, NewStatus, StatusQuery
from mocks.settings import KycSettings
from service_runtime.clock import Clock
from service_runtime.process import Process
from service_runtime.web import JsonResponse


def create(settings: KycSettings, clock: Clock | None = None) -> Process:
    """Return the mock, ready to run."""
    mock = Mock("kyc", settings, clock)
    routes = _Routes(Customers())
    mock.app.add_route("/customers:batch", routes.query_many, methods=["POST"])
    mock.app.add_route("/customers/{user_id}", routes.put, methods=["PUT"])
    mock.app.add_route("/customers/{user_id}", routes.get, methods=["GET"])
    return mock.process()


class _Routes:
    def __init__(self, customers: Customers) -> None:
        self._customers = customers

    async def query_many(self, request: Request) -> Response:
        query = await read_json(request, StatusQuery)
        return JsonResponse({"results": [self._state(user_id) for user_id in query.user_ids]})

    async def get(self, request: Request) -> Response:
        return JsonResponse(self._state(request.path_params["user_id"]))

    async def put(self, request: Request) -> Response:
        user_id = request.path_params["user_id"]
        new = await read_json(request, NewStatus)
        if not self._customers.put(user_id, new.status):
            raise Refused(507, {"error": "Too many customers"})
        return JsonResponse(self._state(user_id))

    def _state(self, user_id: str) -> dict[str, str]:
        return {"user_id": user_id, "status": self._customers.status_of(user_id)}
