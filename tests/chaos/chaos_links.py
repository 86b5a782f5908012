"""A TCP proxy between services and infrastructure: slow, half-open or reset connections."""

import asyncio
import contextlib
from dataclasses import dataclass, field
from typing import Literal

Mode = Literal["open", "slow", "half-open"]
CHUNK_BYTES = 65_536
SLOW_S = 0.1
"""Delay of each chunk in each direction."""


@dataclass
class Link:
    """Forwards one local port to another."""

    name: str
    port: int
    target: int
    mode: Mode = "open"
    _server: asyncio.Server | None = None
    _writers: set[asyncio.StreamWriter] = field(default_factory=set)
    _changed: asyncio.Event = field(default_factory=asyncio.Event)

    async def open(self) -> None:
        """Start listening."""
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", self.port)

    async def close(self) -> None:
        """Stop listening and close all connections."""
        if self._server is not None:
            self._server.close()
        self.reset()

    def become(self, mode: Mode) -> None:
        """Change the mode; held bytes are forwarded when it is open."""
        self.mode = mode
        self._changed.set()
        self._changed = asyncio.Event()

    def reset(self) -> None:
        """Reset all connections."""
        for writer in self._writers:
            writer.transport.abort()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            # If the target is down, the connection is closed, as by a closed port.
            with contextlib.suppress(OSError):
                await self._joined(reader, writer)
        finally:
            self._writers.discard(writer)
            writer.transport.abort()

    async def _joined(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", self.target)
        self._writers.add(back)
        ways = {
            asyncio.ensure_future(self._carry(reader, back)),
            asyncio.ensure_future(self._carry(there, writer)),
        }
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            self._writers.discard(back)
            back.transport.abort()

    async def _carry(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        while chunk := await source.read(CHUNK_BYTES):
            while self.mode == "half-open":
                await self._changed.wait()
            if self.mode == "slow":
                await asyncio.sleep(SLOW_S)
            sink.write(chunk)
            await sink.drain()
