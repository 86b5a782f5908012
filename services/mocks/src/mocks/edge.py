"""The HTTP edge that all mocks share: fault switches, refusals, and the process around an app."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass

from fastapi import FastAPI, Request
from fastapi.responses import Response

from mocks.bodies import Refused, read_json
from mocks.faults import FaultInjection, Faults, Silence, Switch
from mocks.settings import MockSettings
from service_runtime.clock import Clock
from service_runtime.process import Process
from service_runtime.web import Check, JsonResponse, create_app


@dataclass(frozen=True, slots=True)
class Edge:
    """A mock's app, with the shared routes on it."""

    name: str
    app: FastAPI
    silence: Silence
    faults: Faults

    def process(self, resources: Sequence[AbstractAsyncContextManager[object]] = ()) -> Process:
        """Return the process that serves the app."""
        return Process(self.name, self.app, resources, loops=(self.silence.until,))


def open_edge(
    name: str, settings: MockSettings, clock: Clock, checks: Mapping[str, Check] | None = None
) -> Edge:
    """Return an app with health, readiness, metrics and fault switches; a mock adds its routes."""
    faults, silence = Faults(), Silence(settings.fault_hold_s)
    app = create_app(name, checks or {}, clock)
    app.add_middleware(FaultInjection, faults=faults, silence=silence, slow_s=settings.fault_slow_s)
    app.add_exception_handler(Refused, _refuse)
    _add_switches(app, faults)
    return Edge(name, app, silence, faults)


def _add_switches(app: FastAPI, faults: Faults) -> None:
    async def put(request: Request) -> Response:
        switch = await read_json(request, Switch)
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
