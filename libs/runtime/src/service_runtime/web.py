"""The HTTP app of every process: health, readiness, metrics, hot routes."""

import asyncio
import contextlib
import re
import sys
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from importlib.metadata import PackageNotFoundError, version

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.routing import WebSocketRoute, compile_path
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.websockets import WebSocket

from service_runtime.clock import Clock
from service_runtime.documentation import add_documentation
from service_runtime.logs import Log
from service_runtime.metrics import exposition
from service_runtime.request_frame import MAX_BODY_BYTES, HttpPolicy, RequestMiddleware
from service_runtime.responses import JsonResponse, refuse, refuse_invalid

__all__ = ["MAX_BODY_BYTES", "App", "HttpPolicy", "JsonResponse", "create_app"]

_log = Log("web")

Check = Callable[[], Awaitable[bool]]
"""Returns whether a dependency can be reached now."""

CHECK_WITHIN_S = 3.0
VERSION = "X-Service-Version"
"""Header of `/ready`."""
NO_METHOD = ""
"""Of a WebSocket, which has a path alone."""
PROMETHEUS_TEXT = "text/plain; version=0.0.4; charset=utf-8"

Handle = Callable[[Request], Awaitable[Response]]
"""Handles a request."""


class App(FastAPI):
    """A FastAPI app whose hot routes bypass the framework.

    Its middlewares and router cost as much CPU as the rest of a confirmation.
    """

    def __init__(self, name: str, frame: Callable[[ASGIApp], RequestMiddleware]) -> None:
        super().__init__(
            title=f"Countersign {name}",
            version="1.0",
            default_response_class=JsonResponse,
            # A client may follow a redirect of a POST by a GET, or to another host.
            redirect_slashes=False,
            docs_url=None,
            redoc_url=None,
        )
        self._frame = frame
        self._hot: dict[tuple[str, str], ASGIApp] = {}
        self._hot_patterns: list[tuple[str, re.Pattern[str], ASGIApp]] = []

    def add_hot_route(self, method: str, path: str, handle: Handle) -> None:
        """Serve a path by the request middleware alone; its parameters are texts."""
        self.add_route(path, handle, methods=[method])

        async def served(scope: Scope, receive: Receive, send: Send) -> None:
            scope["endpoint"] = handle
            response = await handle(Request(scope, receive, send))
            await response(scope, receive, send)

        if "{" in path:
            self._hot_patterns.append((method, compile_path(path)[0], self._frame(served)))
        else:
            self._hot[method, path] = self._frame(served)

    def add_socket(self, path: str, serve: Callable[[WebSocket], Awaitable[None]]) -> None:
        """Serve WebSockets at a path, without the framework's middlewares."""
        self.router.routes.append(WebSocketRoute(path, serve))

        async def served(scope: Scope, receive: Receive, send: Send) -> None:
            await serve(WebSocket(scope, receive, send))

        self._hot[NO_METHOD, path] = served

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        asked = scope.get("method", NO_METHOD), scope.get("path", "")
        hot = self._hot.get(asked) or self._matching(*asked, scope)
        await (hot or super().__call__)(scope, receive, send)

    def _matching(self, asked: str, path: str, scope: Scope) -> ASGIApp | None:
        for method, pattern, app in self._hot_patterns:
            if asked == method and (found := pattern.match(path)):
                scope["path_params"] = found.groupdict()
                return app
        return None


def create_app(
    name: str,
    checks: Mapping[str, Check],
    clock: Clock,
    policy: HttpPolicy = HttpPolicy(),  # noqa: B008 - frozen
) -> App:
    """Return an app with `/health`, `/ready` and `/metrics`; a service adds its routes."""
    frame = partial(RequestMiddleware, clock=clock, policy=policy)
    app = App(name, frame)
    app.add_middleware(frame)
    app.add_exception_handler(RequestValidationError, refuse_invalid)
    app.add_exception_handler(HTTPException, refuse)

    headers = {VERSION: _version()}

    async def health(_request: Request) -> Response:
        return JsonResponse({"status": "alive", "service": name})

    async def ready(_request: Request) -> Response:
        missing = [dependency for dependency, check in checks.items() if not await _passes(check)]
        status = {"status": "not ready" if missing else "ready", "missing": missing}
        return JsonResponse(status, 503 if missing else 200, headers=headers)

    async def metrics(_request: Request) -> Response:
        return Response(exposition(), media_type=PROMETHEUS_TEXT)

    app.add_route("/health", health, include_in_schema=False)
    app.add_route("/ready", ready, include_in_schema=False)
    app.add_route("/metrics", metrics, include_in_schema=False)
    add_documentation(app)
    return app


def _version() -> str:
    """Return the version of the package that was started: `python -m identity`."""
    started = getattr(sys.modules["__main__"], "__package__", None) or ""
    with contextlib.suppress(PackageNotFoundError, ValueError):
        return version(started.partition(".")[0])
    return "unknown"


async def _passes(check: Check) -> bool:
    try:
        async with asyncio.timeout(CHECK_WITHIN_S):
            return await check()
    except Exception as error:  # noqa: BLE001 - any error of a check means not ready
        _log.warning("not_ready", error_class=type(error).__qualname__)
        return False


def given_once(headers: Headers, name: str) -> str | None:
    """Return a header's value; None where it is missing or given twice with different values."""
    values = set(headers.getlist(name))
    return values.pop() if len(values) == 1 else None
