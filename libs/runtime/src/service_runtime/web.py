"""The HTTP app of every process: health, readiness, metrics, credentials, hot routes."""

import asyncio
import hashlib
import hmac
import json
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Self

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Receive, Scope, Send

from service_runtime.clock import Clock
from service_runtime.documentation import add_documentation
from service_runtime.logs import Log
from service_runtime.metrics import exposition
from service_runtime.refusals import RefusalLog
from service_runtime.request_frame import MAX_BODY_BYTES, HttpPolicy, RequestMiddleware
from service_runtime.responses import JsonResponse, refuse, refuse_invalid
from service_runtime.settings import HttpSettings

__all__ = ["MAX_BODY_BYTES", "App", "Credentials", "HttpPolicy", "JsonResponse", "create_app"]

_log = Log("web")

Check = Callable[[], Awaitable[bool]]
"""Returns whether a dependency can be reached now."""

CHECK_WITHIN_S = 3.0
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

    def add_hot_route(self, method: str, path: str, handle: Handle) -> None:
        """Serve a path without parameters by the request middleware alone."""
        self.add_route(path, handle, methods=[method])

        async def served(scope: Scope, receive: Receive, send: Send) -> None:
            scope["endpoint"] = handle
            response = await handle(Request(scope, receive, send))
            await response(scope, receive, send)

        self._hot[method, path] = self._frame(served)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        hot = self._hot.get((scope.get("method", ""), scope.get("path", "")))
        await (hot or super().__call__)(scope, receive, send)


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

    async def health(_request: Request) -> Response:
        return JsonResponse({"status": "alive", "service": name})

    async def ready(_request: Request) -> Response:
        missing = [dependency for dependency, check in checks.items() if not await _passes(check)]
        status = {"status": "not ready" if missing else "ready", "missing": missing}
        return JsonResponse(status, 503 if missing else 200)

    async def metrics(_request: Request) -> Response:
        return Response(exposition(), media_type=PROMETHEUS_TEXT)

    app.add_route("/health", health, include_in_schema=False)
    app.add_route("/ready", ready, include_in_schema=False)
    app.add_route("/metrics", metrics, include_in_schema=False)
    add_documentation(app)
    return app


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


class Credentials:
    """The callers of internal routes and their scopes. Holds only hashes of their secrets.

    Source: the file behind INTERNAL_CREDENTIALS_FILE, `{caller: {"sha256": hex, "scopes": [...]}}`.
    """

    def __init__(self, document: str) -> None:
        self._callers: dict[str, tuple[str, frozenset[str]]] = {
            caller: (entry["sha256"], frozenset(entry["scopes"]))
            for caller, entry in json.loads(document).items()
        }
        self._refusals = RefusalLog()

    @classmethod
    def in_production(cls, settings: HttpSettings) -> Self | None:
        """Return the guard of the internal pages; None in development."""
        return cls(settings.internal_credentials) if settings.profile == "prod" else None

    def caller_with(self, scope: str, authorization: str) -> str | None:
        """Return the caller whose bearer secret this is, if it has the scope."""
        presented = hashlib.sha256(authorization.removeprefix("Bearer ").encode()).hexdigest()
        for caller, (digest, scopes) in self._callers.items():
            if hmac.compare_digest(digest, presented) and scope in scopes:
                return caller
        return None

    def admit(self, request: Request, scope: str) -> str:
        """Return the name of the caller that has the scope; raise HTTPException 401."""
        found = self.caller_with(scope, given_once(request.headers, "authorization") or "")
        if found is None:
            details = f"A credential with scope {scope} is required"
            address = request.client.host if request.client else "unknown"
            self._refusals.note(401, details, address)
            raise HTTPException(401, details, {"WWW-Authenticate": "Bearer"})
        return found

    def require(self, scope: str) -> Callable[[Request], str]:
        """Return a FastAPI dependency that yields the caller's name, or raises 401."""

        def caller(request: Request) -> str:
            return self.admit(request, scope)

        return caller
