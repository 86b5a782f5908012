"""HTTP plumbing that every process shares: health, readiness, metrics, request ids, body limits."""

import asyncio
import hashlib
import hmac
import json
import time
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any
from uuid import UUID

import orjson
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from opentelemetry.trace import Span, StatusCode
from starlette.exceptions import HTTPException
from starlette.exceptions import HTTPException as StarletteHTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service_runtime import metrics, tracing
from service_runtime.clock import Clock
from service_runtime.errors import Consequence, conflict_of, consequence_of
from service_runtime.logs import Log
from service_runtime.metrics import exposition

_log = Log("web")
_durations = metrics.histogram("http.server.request.duration", "Requests, from head to answer.")

Check = Callable[[], Awaitable[bool]]
"""Says whether one dependency can be reached now."""

MAX_BODY_BYTES = 1024 * 1024
METHODS = {"GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS"}
PROBES = ("/health", "/ready", "/metrics")
SERVER_ERROR = 500
CLIENT_GONE = 499
"""What is counted where the client left before an answer began."""
CHECK_WITHIN_S = 3.0
PROMETHEUS_TEXT = "text/plain; version=0.0.4; charset=utf-8"


class JsonResponse(Response):
    """JSON by orjson."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        return orjson.dumps(content)


Handle = Callable[[Request], Awaitable[Response]]
"""Answers a request."""


class App(FastAPI):
    """A FastAPI app whose busiest routes are served past the framework.

    Its chain of middlewares and its router cost as much as all that a confirmation needs.
    """

    def __init__(self, name: str, frame: Callable[[ASGIApp], "RequestFrame"]) -> None:
        super().__init__(
            title=f"Countersign {name}", version="1.0", default_response_class=JsonResponse
        )
        self._frame = frame
        self._hot: dict[tuple[str, str], ASGIApp] = {}

    def add_hot_route(self, method: str, path: str, handle: Handle) -> None:
        """Serve a path without parameters in nothing but the frame."""
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
    max_body_bytes: int = MAX_BODY_BYTES,
    *,
    begins_traces: bool = False,
) -> App:
    """Return an app with `/health`, `/ready` and `/metrics`; a service adds its routes.

    Only the edge begins traces; everyone else continues what a caller records.
    """
    frame = partial(
        RequestFrame, clock=clock, max_body_bytes=max_body_bytes, begins_traces=begins_traces
    )
    app = App(name, frame)
    app.add_middleware(frame)
    app.add_exception_handler(RequestValidationError, _refuse_invalid)
    app.add_exception_handler(StarletteHTTPException, _refuse)

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
    return app


async def _passes(check: Check) -> bool:
    try:
        async with asyncio.timeout(CHECK_WITHIN_S):
            return await check()
    except Exception as error:  # noqa: BLE001 - whatever a check raises, its dependency is missing
        _log.warning("not_ready", error_class=type(error).__qualname__)
        return False


async def _refuse(_request: Request, error: Exception) -> Response:
    """Answer every refusal in one shape."""
    assert isinstance(error, StarletteHTTPException)  # noqa: S101 - registered for it alone
    return JsonResponse({"error": error.detail}, error.status_code, headers=error.headers)


async def _refuse_invalid(_request: Request, error: Exception) -> Response:
    """Answer 400 and name the field, never its value."""
    assert isinstance(error, RequestValidationError)  # noqa: S101 - registered for it alone
    fault = error.errors()[0]
    name = ".".join(str(part) for part in fault["loc"][1:]) or "body"
    return JsonResponse({"error": f"Invalid field: {name}", "details": fault["msg"]}, 400)


def _failure(error: Exception) -> Response:
    """Answer 409 where a constraint refuses, 503 where something else is down for now, else 500."""
    if conflict := conflict_of(error):
        return JsonResponse({"error": "Conflict", "details": str(conflict)}, 409)
    if consequence_of(error) is Consequence.WAIT:
        return JsonResponse({"error": "Service unavailable"}, 503, headers={"Retry-After": "1"})
    return JsonResponse({"error": "Internal error"}, 500)


class RequestFrame:
    """Puts `X-Request-Id` on every answer and refuses bodies over the limit with 413."""

    def __init__(
        self, app: ASGIApp, clock: Clock, max_body_bytes: int, *, begins_traces: bool
    ) -> None:
        self._app = app
        self._clock = clock
        self._max_body_bytes = max_body_bytes
        self._begins_traces = begins_traces

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = self._clock.new_id()
        scope.setdefault("state", {})["request_id"] = request_id
        begins = self._begins_traces and scope["path"] not in PROBES
        with tracing.serving(scope["method"], _headers(scope), may_begin=begins) as span:
            framed, start_s = _Framed(send, request_id, span), time.monotonic()
            try:
                await self._framed(scope, receive, framed)
            finally:
                route = _template(scope)
                span.update_name(f"{scope['method']} {route}".strip())
                _count(scope, route, framed.status, time.monotonic() - start_s)

    async def _framed(self, scope: Scope, receive: Receive, framed: "_Framed") -> None:
        # Refused where it is read: a route that looks at the content type first answers 415.
        too_large = self._declared_length(scope) > self._max_body_bytes
        bounded = _Bounded(receive, self._max_body_bytes, refuses=too_large)
        try:
            await self._app(scope, bounded, framed)
        except HTTPException as error:
            await (await _refuse(Request(scope), error))(scope, receive, framed)
        except Exception as error:
            tell = _log.error if conflict_of(error) is None else _log.info
            tell(
                "failed",
                request_id=scope["state"]["request_id"],
                error_class=type(error).__qualname__,
            )
            if framed.begun:
                raise
            await _failure(error)(scope, receive, framed)

    @staticmethod
    def _declared_length(scope: Scope) -> int:
        lengths = [value for name, value in scope["headers"] if name == b"content-length"]
        return int(lengths[0]) if lengths and lengths[0].isdigit() else 0


class _Framed:
    """A send channel that puts the request's id on the answer."""

    def __init__(self, send: Send, request_id: UUID, span: Span) -> None:
        self._send = send
        self._span = span
        self._headers = [(b"x-request-id", str(request_id).encode())]
        trace_id = tracing.current_trace_id()
        if trace_id is not None:
            self._headers.append((b"x-trace-id", trace_id.encode()))
        self.begun = False
        self.status = CLIENT_GONE

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.begun = True
            self.status = message["status"]
            message["headers"] = [*message.get("headers", ()), *self._headers]
            self._span.set_attribute("http.response.status_code", message["status"])
            if message["status"] >= SERVER_ERROR:
                self._span.set_status(StatusCode.ERROR)
        await self._send(message)


def _count(scope: Scope, route: str, status: int, seconds: float) -> None:
    """Count a request, by what a client cannot make up: a route of ours, a method of HTTP's."""
    if route in PROBES:
        return
    known = scope["method"] in METHODS
    attributes = {
        "http.request.method": scope["method"] if known else "_OTHER",
        "http.route": route,
        "http.response.status_code": status,
    }
    _durations.record(seconds, attributes)


def _headers(scope: Scope) -> dict[str, str]:
    """Return the headers that carry a trace."""
    return {
        name.decode(): value.decode("latin-1")
        for name, value in scope["headers"]
        if name in (b"traceparent", b"tracestate")
    }


def _template(scope: Scope) -> str:
    """Return the path as its route names it, without ids; nothing where no route took it."""
    if "endpoint" not in scope:
        return ""
    path: str = scope["path"]
    for name, value in scope.get("path_params", {}).items():
        path = path.replace(f"/{value}", f"/{{{name}}}")
    return path


class _Bounded:
    """A receive channel that refuses a body which is too long, or turns out to be."""

    def __init__(self, receive: Receive, limit: int, *, refuses: bool) -> None:
        self._receive = receive
        self._left = limit
        self._refuses = refuses

    async def __call__(self) -> Message:
        if self._refuses:
            raise HTTPException(413, "Body too large")
        message = await self._receive()
        self._left -= len(message.get("body", b""))
        if self._left < 0:
            raise HTTPException(413, "Body too large")
        return message


class Credentials:
    """Which caller may do what on internal routes. Holds hashes only.

    Source: the file behind INTERNAL_CREDENTIALS_FILE, `{caller: {"sha256": hex, "scopes": [...]}}`.
    """

    def __init__(self, document: str) -> None:
        self._callers: dict[str, tuple[str, frozenset[str]]] = {
            caller: (entry["sha256"], frozenset(entry["scopes"]))
            for caller, entry in json.loads(document).items()
        }

    def caller_with(self, scope: str, authorization: str) -> str | None:
        """Return the caller whose bearer secret this is, if it has the scope."""
        presented = hashlib.sha256(authorization.removeprefix("Bearer ").encode()).hexdigest()
        for caller, (digest, scopes) in self._callers.items():
            if hmac.compare_digest(digest, presented) and scope in scopes:
                return caller
        return None

    def require(self, scope: str) -> Callable[[Request], str]:
        """Return a FastAPI dependency that yields the caller's name, or answers 401."""

        def caller(request: Request) -> str:
            found = self.caller_with(scope, request.headers.get("authorization", ""))
            if found is None:
                details = f"A credential with scope {scope} is required"
                raise HTTPException(401, details, {"WWW-Authenticate": "Bearer"})
            return found

        return caller
