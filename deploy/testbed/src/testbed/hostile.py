"""Endpoints of webhooks that misbehave, each at a path of one real server on this machine."""

import asyncio
import contextlib
import json
import time
from collections import Counter
from collections.abc import Mapping
from typing import NamedTuple, Self

OK = b"HTTP/1.1 204 No Content\r\n\r\n"
METADATA = b"http://169.254.169.254/latest/meta-data/"
REPLIES = {
    "/good": OK,
    "/fails": b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n",
    "/gone": b"HTTP/1.1 410 Gone\r\nContent-Length: 0\r\n\r\n",
    "/redirects": b"HTTP/1.1 302 Found\r\nLocation: " + METADATA + b"\r\nContent-Length: 0\r\n\r\n",
    "/rubbish": b"\x00\xff\x17rubbish\r\n\r\n" * 10,
    "/http2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00",
    "/http2-frames": b"\x00\x00\x12\x04\x00\x00\x00\x00\x00\r\n\r\n",
    "/odd-status": b"HTTP/1.1 999 What\r\n\r\n",
    "/interim": b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + OK,
    "/interim-only": b"HTTP/1.1 100 Continue\r\n\r\n" * 50,
    "/early-close": b"HTTP/1.1 200 OK\r\nContent-",
    "/short-body": b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\nabc",
    "/trailers": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\na: b\r\n\r\n",
}
FLOODS = {
    "/large-head": (b"HTTP/1.1 200 OK\r\n", b"a: b\r\n" * 10_000),
    "/large-body": (b"HTTP/1.1 200 OK\r\n\r\n", bytes(65_536)),
}
LARGE = 100 * 1024 * 1024


class Received(NamedTuple):
    """One message to `/good`, with the path's query."""

    headers: Mapping[str, str]
    body: bytes
    query: str
    at_s: float


class HostileServer:
    """Counts calls by path, and keeps what `/good` has received."""

    def __init__(self) -> None:
        self.calls: Counter[str] = Counter()
        self.received: list[Received] = []
        self.flooded = 0
        """Bytes of floods that went out."""
        self._serving: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0, backlog=1024)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_error: object) -> None:
        self._server.close()
        for task in list(self._serving):
            task.cancel()
        await asyncio.gather(*self._serving, return_exceptions=True)

    def url(self, path: str, host: str = "127.0.0.1") -> str:
        """Return the address of a path; `/good` may have a query."""
        return f"http://{host}:{self.port}{path}"

    def types(self) -> list[str]:
        """Return the types of the messages to `/good`, in order."""
        return [json.loads(one.body)["type"] for one in self.received]

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._serve(reader, writer))
        self._serving.add(task)
        task.add_done_callback(self._serving.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                await self._answer(reader, writer)
        finally:
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = dict(line.split(": ", 1) for line in head[1:] if line)
        body = await reader.readexactly(int(headers["Content-Length"]))
        path, _, query = head[0].split()[1].partition("?")
        self.calls[path] += 1
        if path == "/good":
            self.received.append(Received(headers, body, query, time.time()))
        await self._reply(path, writer)

    async def _reply(self, path: str, writer: asyncio.StreamWriter) -> None:
        match path:
            case "/hangs":
                await asyncio.sleep(3600)
            case "/trickles":
                for byte in b"HTTP/1.1 200 OK\r\n" * 1000:
                    writer.write(bytes([byte]))
                    await writer.drain()
                    await asyncio.sleep(0.05)
            case "/large-head" | "/large-body":
                await self._flood(writer, *FLOODS[path])
            case _:
                writer.write(REPLIES[path])
                await writer.drain()

    async def _flood(self, writer: asyncio.StreamWriter, head: bytes, part: bytes) -> None:
        writer.write(head)
        sent = 0
        while sent < LARGE:
            writer.write(part)
            await writer.drain()
            sent += len(part)
            self.flooded += len(part)
