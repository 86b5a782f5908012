"""The HTTP server: uvicorn, which leaves signals alone and accepts all who wait at once."""

import asyncio
import contextlib
import socket
from collections.abc import Callable, Iterator

import uvicorn

from service_runtime.logs import Log

MOST_AT_ONCE = 256
"""Connections accepted before others get their turn."""
READ_WITHIN_S = 0.05
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
        """Accept whoever waits, and then no more; return when what they sent has been read.

        A listener that is closed, and a connection that uvicorn closes as idle, take with them
        what was sent and not yet read: a request without an answer.
        """
        if self._resting is None:
            self._accept()
        if self._resting is not None:
            self._resting.cancel()
        self._loop.remove_reader(self._listener)
        self._listener.close()
        if self._connecting:
            await asyncio.wait(self._connecting)
        await asyncio.sleep(READ_WITHIN_S)

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
        self._accepting = Accepting(listener, self._new_protocol)
        self._accepting.start()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        if self._accepting is not None:
            await self._accepting.close()
        await super().shutdown(sockets)

    def _new_protocol(self) -> asyncio.Protocol:
        made: asyncio.Protocol = self.config.http_protocol_class(  # type: ignore[call-arg]
            config=self.config, server_state=self.server_state, app_state=self.lifespan.state
        )
        return made
