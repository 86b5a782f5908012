"""The running system over HTTP: who owns what, asked with a deadline each."""

from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import httpx

from ops.addresses import Addresses
from ops.errors import NotAskedError, RefusedError

CONNECT_WITHIN_S = 3.0
ANSWER_WITHIN_S = 30.0
"""Longer than the gateway's own deadline of 10 s, so that its 202 is seen."""
CHECK_WITHIN_S = 90.0
WHOLE_CHECK_WITHIN_S = 360.0
"""An owner gives each statement of a whole check 5 min."""
_DEADLINES = httpx.Timeout(ANSWER_WITHIN_S, connect=CONNECT_WITHIN_S)


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer as it came."""

    status: int
    headers: Mapping[str, str]
    body: Any
    text: str
    took_ms: float


class System:
    """Whoever can be asked. Methods raise NotAskedError or RefusedError."""

    def __init__(self, addresses: Addresses) -> None:
        self.addresses = addresses
        self._http = httpx.Client(timeout=_DEADLINES, follow_redirects=False, trust_env=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._http.close()

    def get(self, name: str, path: str, **query: Any) -> Any:
        """Ask a process for what it knows."""
        given = {key: value for key, value in query.items() if value is not None}
        request = self._request(name, "GET", path, params=given)
        return _accepted(name, self._send(name, request))

    def post(self, name: str, path: str, body: Mapping[str, Any]) -> Any:
        """Tell a process to do something."""
        return _accepted(name, self._send(name, self._request(name, "POST", path, json=body)))

    def ask(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None,
        headers: Mapping[str, str],
    ) -> Reply:
        """Speak to the gateway as a client does; every answer of it is an answer."""
        url = self.addresses.url("gateway") + path
        request = self._http.build_request(method, url, json=body, headers=dict(headers))
        response = self._send("gateway", request)
        return Reply(
            response.status_code,
            response.headers,
            _json_of(response),
            response.text,
            response.elapsed.total_seconds() * 1000,
        )

    @contextmanager
    def stream(self, name: str, path: str, **query: Any) -> Iterator[Iterator[str]]:
        """Read an answer piece by piece: it may be larger than memory."""
        request = self._request(name, "GET", path, params=query)
        try:
            with closing(self._http.send(request, stream=True)) as response:
                if response.is_error:
                    response.read()
                _accepted_status(name, response)
                yield response.iter_text()
        except httpx.HTTPError as error:
            raise _not_asked(name, request, error) from None

    def _request(self, name: str, method: str, path: str, **content: Any) -> httpx.Request:
        headers = {}
        if path.startswith("/admin"):
            headers["Authorization"] = f"Bearer {self.addresses.credential()}"
        return self._http.build_request(
            method,
            self.addresses.url(name) + path,
            headers=headers,
            timeout=httpx.Timeout(_deadline_s(path, content), connect=CONNECT_WITHIN_S),
            **content,
        )

    def _send(self, name: str, request: httpx.Request) -> httpx.Response:
        try:
            return self._http.send(request)
        except httpx.HTTPError as error:
            raise _not_asked(name, request, error) from None


def _deadline_s(path: str, content: Mapping[str, Any]) -> float:
    """Return how long an answer is waited for: longest where it is about all history."""
    if path != "/admin/check":
        return ANSWER_WITHIN_S
    return CHECK_WITHIN_S if "since" in content["params"] else WHOLE_CHECK_WITHIN_S


def _not_asked(name: str, request: httpx.Request, error: httpx.HTTPError) -> NotAskedError:
    if isinstance(error, httpx.TimeoutException) and not isinstance(error, httpx.ConnectTimeout):
        return NotAskedError(f"{name} gave no answer in time: see `make logs S={name}`")
    return NotAskedError(
        f"{name} cannot be reached at {request.url.scheme}://{request.url.netloc.decode()}:"
        f" start it with `make up`, or see `make logs S={name}`"
    )


def _accepted_status(name: str, response: httpx.Response) -> None:
    """Pass over a success; raise what any other answer means."""
    if response.is_success:
        return
    body = _json_of(response)
    told = body if isinstance(body, dict) else {}
    words = [told.get("error") or f"status {response.status_code}", told.get("details")]
    sentence = f"{name} refused: {', '.join(str(word) for word in words if word)}"
    if response.status_code in (401, 403):
        raise NotAskedError(f"{sentence}; INTERNAL_CREDENTIAL_FILE must hold the secret of ops")
    if response.status_code >= 500 or response.status_code == 404:
        raise NotAskedError(f"{sentence}; see `make logs S={name}`")
    raise RefusedError(sentence)


def _accepted(name: str, response: httpx.Response) -> Any:
    _accepted_status(name, response)
    body = _json_of(response)
    if body is None:
        raise NotAskedError(f"{name} did not answer in JSON: is another program at its port?")
    return body


def _json_of(response: httpx.Response) -> Any:
    try:
        return response.json()
    except ValueError:
        return None
