"""Public paths of other services: the request is forwarded, and the service decides about it.

The service verifies the token itself. What is forwarded is named here: no other header passes, and
a path or header that two programs could read differently is refused.
"""

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from gateway.clients.forwarding import Forwarded, Forwarding, Reply
from payment_schemas import answers
from payment_schemas.answers import RefusedError
from service_runtime.http_client import NoAnswer, RequestNotSent
from service_runtime.responses import response_of
from service_runtime.web import App, given_once

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
MAX_BODY_BYTES = 64 * 1024
MAX_UPLOAD_BYTES = 10 * 1024 * 1024
"""Of a path that a manifest names under `uploads`. Source: compliance.md, documents."""
MOST_UPLOADS = 4
"""Bodies of such paths that are in memory at once; more get 503."""
REQUEST_HEADERS = (
    "accept",
    "accept-language",
    "authorization",
    "content-type",
    "idempotency-key",
    "if-match",
    "if-none-match",
    # A page of the service learns from them which site has sent its form.
    "origin",
    "sec-fetch-site",
    "stripe-signature",
    "user-agent",
    "x-sha2-signature",
)
RESPONSE_HEADERS = (
    "cache-control",
    "content-security-policy",
    "content-type",
    "etag",
    "link",
    "location",
    "ratelimit",
    "ratelimit-policy",
    "retry-after",
    "www-authenticate",
)
_PATH = re.compile(r"(?:/(?!\.{1,2}(?:/|\Z))[A-Za-z0-9._~-]+)+\Z")
"""Segments of unreserved characters (RFC 3986): nothing encoded, empty, `.` or `..`."""
_QUERY = re.compile(r"[\x21\x22\x24-\x7e]*\Z")
_VALUE = re.compile(r"[\t\x20-\x7e]*\Z")


@dataclass(slots=True)
class Uploads:
    """The paths that take large bodies, and how many of these are in memory."""

    paths: Collection[str] = ()
    _held: int = 0

    @contextmanager
    def limit(self, path: str) -> Iterator[int]:
        """Yield the most bytes of a path's body; raise RequestNotSent for one upload too many."""
        if path not in self.paths:
            yield MAX_BODY_BYTES
            return
        if self._held >= MOST_UPLOADS:
            raise RequestNotSent(f"{path}: too many uploads")
        self._held += 1
        try:
            yield MAX_UPLOAD_BYTES
        finally:
            self._held -= 1


@dataclass(frozen=True, slots=True)
class ForwardRoute:
    """Forwards the requests of one public path to its service."""

    path: str
    forwarding: Forwarding
    address: Callable[[Request], str]
    """Returns the client's address, which is forwarded to the service."""
    uploads: Uploads = field(default_factory=Uploads)

    async def __call__(self, request: Request) -> Response:
        """Return the service's response; 503 where none was asked, 504 where none has replied."""
        try:
            with self.uploads.limit(request.url.path) as most_bytes:
                sent = await self._forwarded(request, most_bytes)
                return _response(await self.forwarding.send(sent))
        except RequestNotSent:
            return response_of(answers.unavailable_at(self.path))
        except NoAnswer:
            return response_of(answers.no_answer_at(self.path))

    async def _forwarded(self, request: Request, most_bytes: int) -> Forwarded:
        headers = _headers(request) | {"X-Forwarded-For": self.address(request)}
        target = _target(request)
        return Forwarded(request.method, target, headers, await _body(request, most_bytes))

    def add_to(self, app: App) -> None:
        """Serve the path and every path below it; one with a segment `*`, any, alone."""
        below = () if "*" in self.path else (self.path + "/{rest:path}",)
        for path in (self.path.replace("*", "{any}"), *below):
            app.add_route(path, self.__call__, methods=[*METHODS], include_in_schema=False)


def _target(request: Request) -> str:
    path = request.scope["raw_path"].decode("latin-1")
    query = request.scope["query_string"].decode("latin-1")
    if not _PATH.match(path):
        raise HTTPException(404, "Not found")
    if not _QUERY.match(query):
        raise RefusedError(answers.invalid_field("query", "must be printable ASCII"))
    return f"{path}?{query}" if query else path


def _headers(request: Request) -> dict[str, str]:
    found = {}
    for name in REQUEST_HEADERS:
        if name not in request.headers:
            continue
        value = given_once(request.headers, name)
        if value is None or not _VALUE.match(value):
            details = "must be given once, as printable ASCII"
            raise RefusedError(answers.invalid_field(name, details))
        found[name] = value
    return found


async def _body(request: Request, most_bytes: int) -> bytes:
    request.state.body.allow(most_bytes)
    try:
        return await request.body()
    except ClientDisconnect:
        raise HTTPException(400, "Body is incomplete") from None


def _response(reply: Reply) -> Response:
    given: Mapping[str, str] = {name.lower(): value for name, value in reply.headers.items()}
    headers = {name: given[name] for name in RESPONSE_HEADERS if name in given}
    return Response(reply.body, reply.status, headers)
