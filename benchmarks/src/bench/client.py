"""A minimal HTTP/1.1 client, because the load generator shares two cores with the measured system.

It costs about 70 µs CPU a request; a general client costs 300 or more.
"""

import asyncio
from dataclasses import dataclass
from itertools import cycle
from typing import cast

from bench.errors import BenchmarkError

_END_OF_HEAD = b"\r\n\r\n"
_LENGTH = b"content-length:"
_POST = (
    b"POST %s HTTP/1.1\r\nHost: gateway\r\nAuthorization: Bearer %s\r\n"
    b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%s"
)


@dataclass(frozen=True, slots=True)
class Response:
    """Status and body of a response."""

    status: int
    body: bytes


class _Connection(asyncio.Protocol):
    """One connection, one request at a time."""

    def __init__(self) -> None:
        self._received = b""
        self._waiting: asyncio.Future[Response] | None = None
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # TCP gives no other type, but uvloop's class does not derive from it.
        self.transport = cast(asyncio.Transport, transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self.transport = None
        self._end(exc or ConnectionResetError("closed by the server"))

    def data_received(self, data: bytes) -> None:
        self._received += data
        try:
            answer = _parsed(self._received)
        except ValueError as error:
            self._end(ConnectionError(f"not a response: {error}"))
            return
        if answer is not None:
            self._received = b""
            self._end(answer)

    async def send(self, request: bytes) -> Response:
        if self.transport is None:
            raise ConnectionResetError("closed by the server")
        self._waiting = asyncio.get_running_loop().create_future()
        self.transport.write(request)
        return await self._waiting

    def _end(self, outcome: Response | Exception) -> None:
        waiting, self._waiting = self._waiting, None
        if waiting is None or waiting.done():
            return
        if isinstance(outcome, Response):
            waiting.set_result(outcome)
        else:
            waiting.set_exception(outcome)


def _parsed(received: bytes) -> Response | None:
    """Return the response once it is complete. Raises ValueError without Content-Length."""
    end = received.find(_END_OF_HEAD)
    if end < 0:
        return None
    head = received[:end].lower() + b"\r\n"
    place = head.find(_LENGTH)
    if place < 0:
        raise ValueError("no Content-Length")
    length = int(head[place + len(_LENGTH) : head.find(b"\r\n", place)])
    body_at = end + len(_END_OF_HEAD)
    if len(received) < body_at + length:
        return None
    return Response(int(head[9:12]), received[body_at : body_at + length])


class Client:
    """Posts to a service's instances in turn, with one connection for each concurrent request."""

    def __init__(self, *urls: str) -> None:
        self._places = cycle([_place(url) for url in urls])
        self._idle: list[_Connection] = []

    async def post(self, path: bytes, token: bytes, body: bytes, within_s: float) -> Response:
        """Send a request. Raises TimeoutError or OSError without a response."""
        async with asyncio.timeout(within_s):
            connection = await self._connection()
            try:
                answer = await connection.send(_POST % (path, token, len(body), body))
            except BaseException:
                # A late response on this connection would be taken for that of another request.
                _close(connection)
                raise
        self._idle.append(connection)
        return answer

    def close(self) -> None:
        """Close all idle connections."""
        while self._idle:
            _close(self._idle.pop())

    async def _connection(self) -> _Connection:
        while self._idle:
            connection = self._idle.pop()
            if connection.transport is not None:
                return connection
        loop = asyncio.get_running_loop()
        _, made = await loop.create_connection(_Connection, *next(self._places))
        return made


def _place(url: str) -> tuple[str, int]:
    scheme, _, address = url.partition("://")
    host, _, port = address.partition(":")
    if scheme != "http" or not port.isdigit():
        raise BenchmarkError(f"{url}: the address must be http://host:port")
    return host, int(port)


def _close(connection: _Connection) -> None:
    if connection.transport is not None:
        connection.transport.abort()
