"""Forwards requests to the services whose manifests name public paths, over HTTP."""

import asyncio
import contextlib
import io
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, Self

import aiohttp
from yarl import URL

from service_runtime import metrics, tracing
from service_runtime.breaker import Breaker
from service_runtime.edge.admission import FORWARDED_BY
from service_runtime.errors import Unavailable
from service_runtime.http_client import NoAnswer, RequestNotSent
from service_runtime.tls import Certificates

CONNECT_S = 1.0
WITHIN_S = 3.5
"""Below the four seconds in which a stopping gateway still responds to its requests."""
MOST_AT_ONCE = 64
MOST_BYTES = 1024 * 1024
OPEN_S = 5.0
CHUNKED_BYTES = 256 * 1024


@dataclass(frozen=True, slots=True)
class Forwarded:
    """A request as it is forwarded: path and query are as the client wrote them."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Reply:
    """A service's response, with all of its headers."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Forwarding(Protocol):
    """Forwards requests to one service."""

    async def send(self, request: Forwarded) -> Reply:
        """Return the service's response.

        Raises RequestNotSent where nothing was sent, NoAnswer where the service may have acted.
        """
        ...


class HttpForwarding:
    """Asks one instance after the other until a connection is made. Bounded in number and time."""

    def __init__(
        self,
        path: str,
        urls: Sequence[str],
        credential: Callable[[], str],
        tls: Certificates | None = None,
    ) -> None:
        self._path = path
        self._urls = [url.rstrip("/") for url in urls]
        self._credential = credential
        self._tls = tls
        self._session: aiohttp.ClientSession | None = None
        self._breaker = Breaker(OPEN_S)
        self._waiting = 0
        metrics.gauge(
            f"breaker_state_{re.sub('[^a-z0-9]+', '_', path).strip('_')}",
            "0 closed, 1 half open, 2 open.",
            lambda: float(self._breaker.shown(time.monotonic())),
        )

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=MOST_AT_ONCE),
            timeout=aiohttp.ClientTimeout(total=WITHIN_S, sock_connect=CONNECT_S),
            # Cookies of one client must never be sent for another.
            cookie_jar=aiohttp.DummyCookieJar(),
            skip_auto_headers=("User-Agent", "Content-Type", "Accept"),
            auto_decompress=False,
        )
        return self

    async def __aexit__(self, *_error: object) -> None:
        if self._session is not None:
            await self._session.close()

    async def send(self, request: Forwarded) -> Reply:
        if self._waiting >= MOST_AT_ONCE or not self._breaker.admits(time.monotonic()):
            raise RequestNotSent(f"{self._path}: too many requests wait, or nothing responds")
        ok: bool | None = None
        self._waiting += 1
        try:
            reply = await self._first(request)
            ok = True
        except Unavailable:
            ok = False
            raise
        finally:
            self._waiting -= 1
            self._breaker.ended(time.monotonic(), ok=ok)
        return reply

    async def _first(self, request: Forwarded) -> Reply:
        try:
            async with asyncio.timeout(WITHIN_S):
                for url in self._urls:
                    with contextlib.suppress(aiohttp.ClientConnectorError):
                        return await self._ask(url, request)
        except TimeoutError:
            raise NoAnswer(f"{self._path}: no answer in time") from None
        raise RequestNotSent(f"{self._path}: no instance accepts a connection")

    async def _ask(self, url: str, request: Forwarded) -> Reply:
        if self._session is None:
            raise RequestNotSent(f"{self._path}: not started")
        own = {FORWARDED_BY: f"Bearer {self._credential()}", "Accept-Encoding": "identity"}
        with tracing.calling(f"{request.method} {self._path}", **{"server.name": url}) as trace:
            try:
                async with self._session.request(
                    request.method,
                    URL(url + request.target, encoded=True),
                    data=_chunked(request.body) or None,
                    headers={**request.headers, **own, **trace},
                    allow_redirects=False,
                    ssl=self._tls.client if self._tls else True,
                ) as response:
                    return Reply(response.status, dict(response.headers), await _body(response))
            except aiohttp.ClientConnectorError:
                raise
            except aiohttp.ClientError as error:
                raise NoAnswer(f"{self._path}: {type(error).__name__}") from None


def _chunked(body: bytes) -> bytes | io.BytesIO:
    """Return a body as aiohttp sends it: a large one in parts, so that others have their turn."""
    return io.BytesIO(body) if len(body) > CHUNKED_BYTES else body


async def _body(response: aiohttp.ClientResponse) -> bytes:
    raw = b""
    async for chunk in response.content.iter_any():
        raw += chunk
        if len(raw) > MOST_BYTES:
            raise NoAnswer("the response is too large")
    return raw
