"""HTTP client: deadlines, no redirects, bounded responses, a circuit breaker per dependency."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Self

import aiohttp
import orjson

from service_runtime import metrics, tracing
from service_runtime.breaker import Breaker
from service_runtime.errors import Unavailable
from service_runtime.tls import ClientContext

CONNECT_S = 1.0
MAX_ANSWER_BYTES = 1024 * 1024
MAX_CONNECTIONS = 32
REDIRECTION = 300
CLIENT_ERROR = 400
SERVER_ERROR = 500


class NoAnswer(Unavailable):
    """No usable response: the server may or may not have carried out the request."""

    reason = "no_answer"


class ServerFailed(NoAnswer):
    """A server error (5xx): the server may have carried out the request."""


class RequestNotSent(Unavailable):
    """The request was not sent: the breaker is open, or no connection could be made."""

    reason = "not_asked"


@dataclass(frozen=True, slots=True)
class HttpResponse:
    """A status that is neither 3xx nor 5xx, with the JSON body."""

    status: int
    body: Any


class HttpClient:
    """A JSON client of one dependency; opened at start, closed at stop."""

    def __init__(
        self,
        name: str,
        base_url: str,
        timeout_s: float = 3.0,
        bearer: Callable[[], str] | None = None,
        tls: ClientContext | None = None,
    ) -> None:
        """`bearer` returns the secret that the dependency demands, as it is at each request.

        `tls`: what a process of this system is called with by `https://`; without it, the
        dependency's certificate must be of an authority that this machine trusts.
        """
        self._tls = tls
        self._name = name
        self._base_url = base_url.rstrip("/")
        self._timeout = aiohttp.ClientTimeout(total=timeout_s, connect=CONNECT_S)
        # No Accept-Encoding: compressed responses would not be bounded by their size on the wire.
        self._headers = {
            "Content-Type": "application/json",
            "Accept-Encoding": "identity",
        }
        self._bearer = bearer
        self._session: aiohttp.ClientSession | None = None
        self._breaker = Breaker()
        metrics.gauge(
            f"breaker_state_{name.replace('-', '_')}",
            "0 closed, 1 half open, 2 open.",
            lambda: float(self._breaker.shown(time.monotonic())),
        )

    async def __aenter__(self) -> Self:
        connector = aiohttp.TCPConnector(limit=MAX_CONNECTIONS)
        self._session = aiohttp.ClientSession(
            connector=connector, timeout=self._timeout, headers=self._headers, auto_decompress=False
        )
        return self

    async def __aexit__(self, *_error: object) -> None:
        if self._session is not None:
            await self._session.close()

    @property
    def is_open(self) -> bool:
        """Whether the breaker would refuse a call now."""
        return self._breaker.is_open(time.monotonic())

    async def post(
        self, path: str, body: Any, headers: Mapping[str, str] | None = None
    ) -> HttpResponse:
        """POST JSON; raise RequestNotSent or NoAnswer without a usable response."""
        return await self._guarded("POST", path, orjson.dumps(body), headers)

    async def get(self, path: str) -> HttpResponse:
        """GET JSON; raise RequestNotSent or NoAnswer without a usable response."""
        return await self._guarded("GET", path, None, None)

    async def _guarded(
        self, method: str, path: str, body: bytes | None, headers: Mapping[str, str] | None
    ) -> HttpResponse:
        if not self._breaker.admits(time.monotonic()):
            raise RequestNotSent(f"{self._name}: breaker open")
        ok: bool | None = None
        try:
            answer = await self._ask(method, path, body, headers)
            ok = True
        except Unavailable:
            ok = False
            raise
        finally:
            self._breaker.ended(time.monotonic(), ok=ok)
        return answer

    async def _ask(
        self, method: str, path: str, body: bytes | None, headers: Mapping[str, str] | None
    ) -> HttpResponse:
        if self._session is None:
            raise RequestNotSent(f"{self._name}: not started")
        try:
            with tracing.calling(f"{method} {self._name}", **{"server.name": self._name}) as trace:
                async with self._session.request(
                    method,
                    self._base_url + path,
                    data=body,
                    headers={**(headers or {}), **self._authorization(), **trace},
                    allow_redirects=False,
                    ssl=self._tls.client if self._tls else True,
                ) as response:
                    return HttpResponse(response.status, await self._read(response))
        except aiohttp.ClientConnectorError as error:
            raise RequestNotSent(f"{self._name}: {type(error).__name__}") from None
        except (TimeoutError, aiohttp.ClientError) as error:
            raise NoAnswer(f"{self._name}: {type(error).__name__}") from None

    def _authorization(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self._bearer()}"} if self._bearer else {}

    async def _read(self, response: aiohttp.ClientResponse) -> Any:
        if response.status >= SERVER_ERROR:
            raise ServerFailed(f"{self._name}: status {response.status}")
        if REDIRECTION <= response.status < CLIENT_ERROR:
            raise NoAnswer(f"{self._name}: status {response.status}")
        raw = await response.content.read(MAX_ANSWER_BYTES + 1)
        while len(raw) <= MAX_ANSWER_BYTES and not response.content.at_eof():
            raw += await response.content.read(MAX_ANSWER_BYTES + 1 - len(raw))
        if len(raw) > MAX_ANSWER_BYTES:
            raise NoAnswer(f"{self._name}: answer too large")
        try:
            return orjson.loads(raw)
        except orjson.JSONDecodeError:
            raise NoAnswer(f"{self._name}: answer is not JSON") from None
