"""The middleware of every request: id, span, body limit, metric and security headers."""

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from fastapi import Request
from opentelemetry.trace import Span, StatusCode
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from payment_schemas.answers import RefusedError
from service_runtime import metrics, tracing
from service_runtime.clock import Clock
from service_runtime.connection import safe_headers
from service_runtime.errors import conflict_of
from service_runtime.logs import Log
from service_runtime.responses import failure, refuse, response_of

_log = Log("web")
_durations = metrics.histogram("http.server.request.duration", "Requests, from head to answer.")

MAX_BODY_BYTES = 1024 * 1024
METHODS = {"GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS"}
PROBES = ("/health", "/ready", "/metrics")
METRICS = "metrics.read"
PRIVATE_PAGES = {
    "metrics": METRICS,
    "docs": "ops.read",
    "openapi.json": "ops.read",
    "asyncapi": "ops.read",
}
"""First part of the path of internal pages → the scope that they need in production."""
SERVER_ERROR = 500
_EVENT_STREAM = b"text/event-stream; charset=utf-8"
CLIENT_GONE = 499
"""Status in the metric where the client disconnected before the response."""


Guard = Callable[[Request, str], Awaitable[object]]
"""Authorizes a caller of the internal pages; raises HTTPException or RefusedError."""


@dataclass(frozen=True, slots=True)
class HttpPolicy:
    """How a service treats requests."""

    max_body_bytes: int = MAX_BODY_BYTES
    begins_traces: bool = False
    """At the edge: this service decides on sampling, not the caller's flag."""
    guard: Guard | None = None
    """Authorizes the internal pages; None, in development, leaves them open."""


class RequestMiddleware:
    """Adds `X-Request-Id` to every response and refuses bodies over the limit with 413."""

    def __init__(self, app: ASGIApp, clock: Clock, policy: HttpPolicy) -> None:
        self._app = app
        self._clock = clock
        self._policy = policy
        self._safe_headers = safe_headers(production=policy.guard is not None)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = self._clock.new_id()
        scope.setdefault("state", {})["request_id"] = request_id
        method = _method(scope)
        with self._traced(scope, method) as span:
            framed = _Framed(send, request_id, span, self._safe_headers)
            start_s = time.monotonic()
            try:
                await self._framed(scope, receive, framed)
            finally:
                route = _template(scope)
                span.update_name(f"{method} {route}".strip())
                ended_s = framed.begun_s if framed.is_stream else time.monotonic()
                _count(method, route, framed.status, ended_s - start_s)

    def _traced(self, scope: Scope, method: str) -> Any:
        if not self._policy.begins_traces:
            return tracing.serving(method, _trace_headers(scope), may_begin=False)
        if scope["path"] in PROBES:
            return tracing.serving(method, {}, may_begin=False)
        return tracing.serving(method, _trace_headers(scope), may_begin=True)

    async def _framed(self, scope: Scope, receive: Receive, framed: "_Framed") -> None:
        # The body is refused when it is read, so that a wrong content type is 415 first.
        bounded = BoundedBody(receive, self._declared_length(scope), self._policy.max_body_bytes)
        scope["state"]["body"] = bounded
        try:
            await self._guard_pages(scope)
            await self._app(scope, bounded, framed)
        except HTTPException as error:
            await (await refuse(Request(scope), error))(scope, receive, framed)
        except RefusedError as refused:
            await response_of(refused.answer)(scope, receive, framed)
        except Exception as error:
            log = _log.error if conflict_of(error) is None else _log.info
            log(
                "failed",
                request_id=scope["state"]["request_id"],
                error_class=type(error).__qualname__,
            )
            if framed.begun:
                raise
            await failure(error)(scope, receive, framed)

    async def _guard_pages(self, scope: Scope) -> None:
        if self._policy.guard is None:
            return
        needed = PRIVATE_PAGES.get(scope["path"].lstrip("/").partition("/")[0])
        if needed is not None:
            await self._policy.guard(Request(scope), needed)

    @staticmethod
    def _declared_length(scope: Scope) -> int:
        lengths = [value for name, value in scope["headers"] if name == b"content-length"]
        return int(lengths[0]) if lengths and lengths[0].isdigit() else 0


class _Framed:
    """A send channel that adds the request id and the security headers to the response."""

    def __init__(
        self, send: Send, request_id: UUID, span: Span, more: list[tuple[bytes, bytes]]
    ) -> None:
        self._send = send
        self._span = span
        self._headers = [(b"x-request-id", str(request_id).encode()), *more]
        trace_id = tracing.current_trace_id()
        if trace_id is not None:
            self._headers.append((b"x-trace-id", trace_id.encode()))
        self.begun = self.is_stream = False
        self.begun_s = 0.0
        self.status = CLIENT_GONE

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.begun, self.begun_s = True, time.monotonic()
            self.status = message["status"]
            given = list(message.get("headers", ()))
            names = {name.lower() for name, _ in given}
            # A stream stays open for minutes; its answer is its head.
            self.is_stream = (b"content-type", _EVENT_STREAM) in given
            ours = (header for header in self._headers if header[0] not in names)
            message["headers"] = [*given, *ours]
            self._span.set_attribute("http.response.status_code", message["status"])
            if message["status"] >= SERVER_ERROR:
                self._span.set_status(StatusCode.ERROR)
        await self._send(message)


def _method(scope: Scope) -> str:
    """Return the method, `_OTHER` for unknown ones. Source: OpenTelemetry semantic conventions."""
    method: str = scope["method"]
    return method if method in METHODS else "_OTHER"


def _count(method: str, route: str, status: int, seconds: float) -> None:
    """Count a request; the labels are bounded: routes of the service, methods of HTTP."""
    if route in PROBES:
        return
    attributes: dict[str, str | int] = {
        "http.request.method": method,
        "http.route": route,
        "http.response.status_code": status,
    }
    _durations.record(seconds, attributes)


def _trace_headers(scope: Scope) -> dict[str, str]:
    """Return the trace headers; none if there are two `traceparent`."""
    found = [pair for pair in scope["headers"] if pair[0] in (b"traceparent", b"tracestate")]
    if sum(name == b"traceparent" for name, _ in found) > 1:
        return {}
    return {name.decode(): value.decode("latin-1") for name, value in found}


def _template(scope: Scope) -> str:
    """Return the path of the route, with names for ids; empty if no route matched."""
    if "endpoint" not in scope:
        return ""
    path = f"{scope['path']}/"
    # From the end, because an id may equal a part of the path.
    for name, value in reversed(scope.get("path_params", {}).items()):
        before, found, after = path.rpartition(f"/{value}/")
        if not found:
            return ""
        path = f"{before}/{{{name}}}/{after}"
    return path.removesuffix("/")


class BoundedBody:
    """A receive channel that refuses a body whose declared or actual length is over the limit."""

    def __init__(self, receive: Receive, declared: int, limit: int) -> None:
        self._receive = receive
        self._declared = declared
        self._limit = limit
        self._received = 0

    def allow(self, limit: int) -> None:
        """Replace the service's limit: for a route that streams its body."""
        self._limit = limit

    async def __call__(self) -> Message:
        if self._declared > self._limit:
            raise HTTPException(413, "Body too large")
        message = await self._receive()
        self._received += len(message.get("body", b""))
        if self._received > self._limit:
            raise HTTPException(413, "Body too large")
        return message
