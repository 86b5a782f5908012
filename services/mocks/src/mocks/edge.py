"""The service of every mock: fault injection, and refusals in one format."""

from fastapi import FastAPI, Request
from fastapi.responses import Response

from mocks.bodies import Refused, read_json
from mocks.faults import FaultInjection, FaultRate, Faults, HeldRequests
from mocks.settings import MockSettings
from service_runtime.clock import Clock
from service_runtime.service import Service
from service_runtime.web import JsonResponse


class Mock(Service):
    """A service with fault injection; a mock adds its routes to `app`."""

    def __init__(self, name: str, settings: MockSettings, clock: Clock | None = None) -> None:
        super().__init__(name, settings, clock)
        self.faults, self.held_requests = Faults(), HeldRequests(settings.fault_hold_s)
        self.run(self.held_requests.until)
        self.app.add_middleware(
            FaultInjection,
            self.faults,
            held_requests=self.held_requests,
            slow_s=settings.fault_slow_s,
        )
        self.app.add_exception_handler(Refused, _refuse)
        _add_fault_routes(self.app, self.faults)


def _add_fault_routes(app: FastAPI, faults: Faults) -> None:
    async def put(request: Request) -> Response:
        switch = await read_json(request, FaultRate)
        faults.switch(switch.kind, switch.rate)
        return JsonResponse({"faults": faults.rates})

    async def delete(_request: Request) -> Response:
        faults.clear()
        return JsonResponse({"faults": faults.rates})

    async def get(_request: Request) -> Response:
        return JsonResponse({"faults": faults.rates})

    app.add_route("/faults", put, methods=["PUT"], include_in_schema=False)
    app.add_route("/faults", delete, methods=["DELETE"], include_in_schema=False)
    app.add_route("/faults", get, methods=["GET"], include_in_schema=False)


async def _refuse(_request: Request, error: Exception) -> Response:
    assert isinstance(error, Refused)  # noqa: S101 - registered for it alone
    headers = dict(error.headers) if error.headers else None
    return JsonResponse(error.body, error.status, headers)
