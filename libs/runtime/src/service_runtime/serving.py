"""The HTTP server: uvicorn, which leaves signals alone and accepts all who wait at once."""

import asyncio
import contextlib
import select
import socket
from collections.abc import Callable, Iterator

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from service_runtime.logs import Log

MOST_AT_ONCE = 256
"""Connections accepted before others get their turn."""
LAST_REQUESTS_S = 0.5
"""How long those who are connected to a stopping server may begin another request."""
REST_S = 1.0
"""Without this pause, a process that has no file descriptor left would do nothing but fail."""

_log = Log("serving")


class Accepting:
    """Accepts connections in bunches.

    uvloop takes one a turn of its loop (libuv since pull request 3696). A busy loop turns seldom:
    at 500 new connections a second, some waited eight seconds to be accepted, and then two to be
    answered.
    """

    def __init__(self, listener: socket.socket, protocol: Callable[[], asyncio.Protocol]) -> None:
        self._listener = listener
        self._protocol = protocol
        self._loop = asyncio.get_running_loop()
        self._connecting: set[asyncio.Task[object]] = set()
        self._resting: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Accept from now on."""
        self._resting = None
        self._loop.add_reader(self._listener, self._accept)

    async def close(self) -> None:
        """Accept whoever waits, whom the closing of a listener would cut off, and then no more."""
        if self._resting is None:
            self._accept()
        if self._resting is not None:
            self._resting.cancel()
        self._loop.remove_reader(self._listener)
        self._listener.close()
        if self._connecting:
            await asyncio.wait(self._connecting)

    def _accept(self) -> None:
        for _ in range(MOST_AT_ONCE):
            try:
                connection, _ = self._listener.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                _log.warning("accepting_rests", reason=str(error), delay_s=REST_S)
                self._loop.remove_reader(self._listener)
                self._resting = self._loop.call_later(REST_S, self.start)
                return
            connection.settimeout(0)
            task = self._loop.create_task(self._connect(connection))
            self._connecting.add(task)
            task.add_done_callback(self._connecting.discard)

    async def _connect(self, connection: socket.socket) -> None:
        # Who has gone in the meantime is nobody's loss.
        with contextlib.suppress(OSError):
            await self._loop.connect_accepted_socket(self._protocol, connection)


class Connection(HttpToolsProtocol):
    """One that is not closed as idle over a request that has come and was not yet read.

    A loop runs its timers before it reads, so a busy one may not have seen it.
    """

    def shutdown(self) -> None:
        if not _has_unread(self.transport):
            super().shutdown()


def _has_unread(transport: asyncio.Transport) -> bool:
    look = select.poll()
    look.register(transport.get_extra_info("socket").fileno(), select.POLLIN)
    return bool(look.poll(0))


class Server(uvicorn.Server):
    """Leaves signals to the process, which must stop its loops first."""

    _accepting: Accepting | None = None

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        listener = self.config.bind_socket()
        listener.settimeout(0)
        listener.listen(self.config.backlog)
        await super().startup(sockets or [])
        self._accepting = Accepting(listener, self._new_connection)
        self._accepting.start()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        if self._accepting is not None:
            await self._accepting.close()
        await self._answer_the_last()
        await super().shutdown(sockets)

    async def _answer_the_last(self) -> None:
        """Close connections with an answer: one closed in silence may meet a request on its way."""
        self.server_state.default_headers.append((b"connection", b"close"))
        if self.server_state.connections:
            await asyncio.sleep(LAST_REQUESTS_S)

    def _new_connection(self) -> asyncio.Protocol:
        return Connection(self.config, self.server_state, self.lifespan.state)
