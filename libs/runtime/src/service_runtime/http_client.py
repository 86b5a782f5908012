"""HTTP to the outside: deadlines, no redirects, bounded answers, a breaker a dependency."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import aiohttp
import orjson

from service_runtime import metrics, tracing
from service_runtime.breaker import Breaker
from service_runtime.errors import Unavailable

CONNECT_S = 1.0
MAX_ANSWER_BYTES = 1024 * 1024
MAX_CONNECTIONS = 32
REDIRECTION = 300
CLIENT_ERROR = 400
SERVER_ERROR = 500


class NoAnswer(Unavailable):
    """Nothing usable came back: the other side may have done it or not."""

    reason = "no_answer"


class ServerFailed(NoAnswer):
    """The other side answered with a server error (5xx): it may have carried the request out."""


class RequestNotSent(Unavailable):
    """Nothing was sent: the breaker is open or no connection came about."""

    reason = "not_asked"


@dataclass(frozen=True, slots=True)
class HttpResponse:
    """A status that is neither a redirection nor a fault of theirs, and the JSON with it."""

    status: int
    body: Any


class HttpClient:
    """Talks JSON to one dependency, entered at start and closed at stop."""

    def __init__(
        self,
        name: str,
        base_url: str,
        timeout_s: float = 3.0,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self._name = name
        self._base_url = base_url.rstrip("/")
        self._timeout = aiohttp.ClientTimeout(total=timeout_s, connect=CONNECT_S)
        # What is not announced need not be unpacked, and nothing small becomes large on the way in.
        self._headers = {
            "Content-Type": "application/json",
            "Accept-Encoding": "identity",
            **(headers or {}),
        }
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
        """Whether a call now would not be sent, because the breaker is open."""
        return self._breaker.is_open(time.monotonic())

    async def post(
        self, path: str, body: Any, headers: Mapping[str, str] | None = None
    ) -> HttpResponse:
        """Send JSON; raise RequestNotSent or NoAnswer where nothing usable came back."""
        return await self._guarded("POST", path, orjson.dumps(body), headers)

    async def get(self, path: str) -> HttpResponse:
        """Ask for JSON; raise RequestNotSent or NoAnswer where nothing usable came back."""
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
                    headers={**(headers or {}), **trace},
                    allow_redirects=False,
                ) as response:
                    return HttpResponse(response.status, await self._read(response))
        except aiohttp.ClientConnectorError as error:
            raise RequestNotSent(f"{self._name}: {type(error).__name__}") from None
        except (TimeoutError, aiohttp.ClientError) as error:
            raise NoAnswer(f"{self._name}: {type(error).__name__}") from None

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
