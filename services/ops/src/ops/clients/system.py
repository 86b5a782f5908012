"""The HTTP client of the running system, with a deadline for each request.

The command, the demonstration, both checks and the benchmark's customers use it.
"""

import copy
import ssl
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import httpx

from ops.clients.addresses import Addresses
from ops.clients.listings import FIRST, Listing
from ops.domain.errors import HELP, RefusedError, UnavailableError
from ops.domain.rows import Row

CONNECT_WITHIN_S = 3.0
ANSWER_WITHIN_S = 30.0
"""Longer than the gateway's own deadline of 10 s, so that its 202 arrives."""
CHECK_WITHIN_S = 90.0
VERSION = "X-Service-Version"
"""As `service_runtime.web` has it, which takes a command too long to import."""
WHOLE_CHECK_WITHIN_S = 360.0
"""A service allows each SQL statement of a whole check 5 min."""


@dataclass(frozen=True, slots=True)
class HttpResponse:
    """A response as received."""

    status: int
    headers: Mapping[str, str]
    body: Any
    text: str
    took_ms: float


@dataclass(frozen=True, slots=True)
class Readiness:
    """What a process says of itself."""

    name: str
    version: str = ""
    missing: tuple[str, ...] = ()
    """What it lacks: dependencies, by name."""
    fault: str | None = None


class System:
    """All services by name. Methods raise UnavailableError or RefusedError."""

    def __init__(
        self,
        addresses: Addresses,
        when_refused: str = HELP,
        bearer: Callable[[], str] | None = None,
    ) -> None:
        """`bearer` returns the token for admin routes; without it, the machine's secret is used."""
        self.addresses = addresses
        self._bearer = bearer or addresses.credential
        self._when_refused = when_refused
        """The command to run after a refused request."""
        self._clients: list[tuple[ssl.SSLContext | bool, httpx.Client]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def acting_with(self, bearer: str) -> "System":
        """Return this client with an operator's token for admin routes; it shares connections."""
        acting = copy.copy(self)
        acting._bearer = lambda: bearer  # noqa: SLF001 - its own copy
        return acting

    def unready(self, name: str) -> str | None:
        """Return what a process lacks to be ready, None where it is ready."""
        url = self.addresses.url(name)
        try:
            answer = self._http().get(f"{url}/ready", timeout=CONNECT_WITHIN_S)
        except httpx.HTTPError as error:
            return f"{url} does not respond ({type(error).__name__}): `make logs S={name}`"
        return None if answer.is_success else f"{answer.text[:200]}: `make logs S={name}`"

    def readiness(self, name: str) -> Readiness:
        """Return whether a process is ready, by its own words; raises nothing."""
        try:
            answer = self._http().get(f"{self.addresses.url(name)}/ready", timeout=CONNECT_WITHIN_S)
        except httpx.HTTPError as error:
            return Readiness(name, fault=f"does not respond ({type(error).__name__})")
        fields = _json_of(answer)
        missing = fields.get("missing", []) if isinstance(fields, dict) else []
        fault = None if answer.is_success else "is not ready"
        return Readiness(name, answer.headers.get(VERSION, ""), tuple(map(str, missing)), fault)

    def close(self) -> None:
        """Close all connections."""
        for _, client in self._clients:
            client.close()

    def rows(self, listing: Listing, **query: Any) -> list[Row]:
        """Return the rows of a listing."""
        found: list[Row] = self.get(listing.owner, listing.path, **query)[listing.name]
        return found

    def pages(self, listing: Listing, after: str = FIRST, page: int | None = None) -> Iterator[Row]:
        """Yield an export's rows after the id `after`, page by page, until a page is empty."""
        limit = min(page or listing.page, listing.page)
        while rows := self.rows(listing, after=after, limit=limit):
            yield from rows
            after = str(rows[-1]["payment_id"])

    def all_rows(self, listing: Listing, **query: Any) -> list[Row]:
        """Return the rows of all pages of a listing by keyset."""
        found: list[Row] = []
        after: str | None = None
        while True:
            reply = self.get(listing.owner, listing.path, after=after, limit=listing.page, **query)
            found += reply[listing.name]
            after = reply["next"]
            if after is None:
                return found

    def get(self, name: str, path: str, **query: Any) -> Any:
        """Send a GET and return its JSON."""
        given = {key: value for key, value in query.items() if value is not None}
        return self._accepted(name, self._request(name, "GET", path, params=given))

    def download(self, name: str, path: str) -> bytes:
        """Send a GET and return its bytes."""
        response = self._send(name, self._request(name, "GET", path))
        self._check_status(name, response)
        return response.content

    def post(self, name: str, path: str, body: Mapping[str, Any], key: str | None = None) -> Any:
        """Send a POST and return its JSON; with an idempotency key, a repeat has one effect."""
        request = self._request(name, "POST", path, json=body)
        if key:
            request.headers["Idempotency-Key"] = key
        return self._accepted(name, request)

    def put(self, name: str, path: str, body: Mapping[str, Any]) -> Any:
        """Send a PUT and return its JSON."""
        return self._accepted(name, self._request(name, "PUT", path, json=body))

    def delete(self, name: str, path: str) -> Any:
        """Send a DELETE and return its JSON."""
        return self._accepted(name, self._request(name, "DELETE", path))

    def ask(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None,
        headers: Mapping[str, str],
    ) -> HttpResponse:
        """Send a client's request to the gateway and return any response."""
        request = self._request("gateway", method, path, json=body, headers=dict(headers))
        response = self._send("gateway", request)
        return HttpResponse(
            response.status_code,
            response.headers,
            _json_of(response),
            response.text,
            response.elapsed.total_seconds() * 1000,
        )

    @contextmanager
    def stream(self, name: str, path: str, **query: Any) -> Iterator[Iterator[str]]:
        """Stream a response, which may be larger than memory."""
        request = self._request(name, "GET", path, params=query)
        try:
            with closing(self._http().send(request, stream=True)) as response:
                if response.is_error:
                    response.read()
                self._check_status(name, response)
                yield response.iter_text()
        except httpx.HTTPError as error:
            raise _unavailable(name, request, error) from None

    def _http(self) -> httpx.Client:
        """Return the client with the certificate as it is now; requests under way keep theirs."""
        tls = self.addresses.tls
        verify = tls.client if tls else True
        if not self._clients or self._clients[-1][0] is not verify:
            client = httpx.Client(follow_redirects=False, trust_env=False, verify=verify)
            self._clients.append((verify, client))
        return self._clients[-1][1]

    def _request(self, name: str, method: str, path: str, **content: Any) -> httpx.Request:
        if path.startswith("/admin"):
            content["headers"] = {"Authorization": f"Bearer {self._bearer()}"}
        timeout = httpx.Timeout(_deadline_s(path, content), connect=CONNECT_WITHIN_S)
        url = self.addresses.url(name) + path
        return self._http().build_request(method, url, timeout=timeout, **content)

    def _send(self, name: str, request: httpx.Request) -> httpx.Response:
        try:
            return self._http().send(request)
        except httpx.HTTPError as error:
            raise _unavailable(name, request, error) from None

    def _accepted(self, name: str, request: httpx.Request) -> Any:
        response = self._send(name, request)
        self._check_status(name, response)
        body = _json_of(response)
        if body is None:
            what = f"{name} did not respond with JSON: does another program use its port?"
            raise UnavailableError(what, "make status")
        return body

    def _check_status(self, name: str, response: httpx.Response) -> None:
        """Raise the error that a failed response means."""
        if response.is_success:
            return
        body = _json_of(response)
        fields = body if isinstance(body, dict) else {}
        words = [fields.get("error") or f"status {response.status_code}", fields.get("details")]
        what = f"{name} refused: {', '.join(str(word) for word in words if word)}"
        if response.status_code in (401, 403):
            raise UnavailableError(what, self._when_not_admitted(response.status_code))
        if response.status_code >= 500 or response.status_code == 404:
            raise UnavailableError(what, f"make logs S={name}")
        raise RefusedError(what, self._when_refused)

    def _when_not_admitted(self, status: int) -> str:
        """Return what to do next: a machine's secret is wrong, no sign-in, or another person."""
        if self._bearer == self.addresses.credential:
            return "ls -l $INTERNAL_CREDENTIAL_FILE"
        return "countersign login" if status == 401 else "countersign whoami"


def _deadline_s(path: str, content: Mapping[str, Any]) -> float:
    """Return the deadline of a request: the longest for a check of the whole history."""
    if path != "/admin/check":
        return ANSWER_WITHIN_S
    return CHECK_WITHIN_S if "since" in content["params"] else WHOLE_CHECK_WITHIN_S


def _unavailable(name: str, request: httpx.Request, error: httpx.HTTPError) -> UnavailableError:
    if isinstance(error, httpx.TimeoutException) and not isinstance(error, httpx.ConnectTimeout):
        return UnavailableError(f"{name} did not respond in time", f"make logs S={name}")
    place = f"{request.url.scheme}://{request.url.netloc.decode()}"
    return UnavailableError(f"{name} cannot be reached at {place}", "make up")


def _json_of(response: httpx.Response) -> Any:
    try:
        return response.json()
    except (ValueError, RecursionError):
        return None
