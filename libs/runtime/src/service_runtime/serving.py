"""The HTTP server: uvicorn without signal handlers, accepting connections in batches."""

import asyncio
import contextlib
import socket
from collections.abc import Callable, Iterable, Iterator

import uvicorn

from service_runtime.connection import (
    CROWDED,
    Connection,
    ConnectionLimits,
    count_refused,
    safe_headers,
)
from service_runtime.logs import Log
from service_runtime.tls import Certificates
from service_runtime.websocket_connection import WebSocketConnection

MOST_AT_ONCE = 256
"""Connections accepted in one turn of the loop."""
LAST_REQUESTS_S = 0.5
"""How long clients of a stopping server may begin another request."""
REST_S = 1.0
"""Pause after a failed accept: without it a process without file descriptors would spin."""

HANDSHAKE_WITHIN_S = 10.0
"""As long as a request's head may take."""

LOOKS_FOR_LATE_EVERY = 2
"""Tenths of a second."""
CROWDED_AT = 0.9
"""Share of the connections past which idle ones are closed."""

_log = Log("serving")


class Accepting:
    """Accepts connections in batches.

    uvloop accepts one connection a turn of its loop (libuv since pull request 3696). A busy loop
    turns rarely: at 500 new connections a second, some waited eight seconds for the accept and
    another two for the response.
    """

    def __init__(
        self,
        listener: socket.socket,
        protocol: Callable[[], asyncio.Protocol],
        room: Callable[[Iterable[asyncio.Protocol]], int] = lambda _: MOST_AT_ONCE,
        turn_away: Callable[[socket.socket], None] = socket.socket.close,
        tls: Certificates | None = None,
    ) -> None:
        """`room`: how many may be added to those that connect; more get the refusal."""
        self._tls = tls
        self._listener = listener
        self._protocol = protocol
        self._room = room
        self._turn_away = turn_away
        self._loop = asyncio.get_running_loop()
        self._connecting: dict[asyncio.Task[object], asyncio.Protocol] = {}
        self._resting: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Start accepting."""
        self._resting = None
        self._loop.add_reader(self._listener, self._accept)

    async def close(self) -> None:
        """Accept the waiting connections, which closing the listener would reset, then stop."""
        if self._resting is None:
            self._accept()
        if self._resting is not None:
            self._resting.cancel()
        self._loop.remove_reader(self._listener)
        self._listener.close()
        if self._connecting:
            _, late = await asyncio.wait(self._connecting, timeout=LAST_REQUESTS_S)
            for handshake in late:
                handshake.cancel()

    def _accept(self) -> None:
        room = self._room(self._connecting.values())
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
            if room <= 0:
                self._turn_away(connection)
                continue
            room -= 1
            protocol = self._protocol()
            task = self._loop.create_task(self._connect(protocol, connection))
            self._connecting[task] = protocol
            task.add_done_callback(self._connecting.pop)

    async def _connect(self, protocol: asyncio.Protocol, connection: socket.socket) -> None:
        # The client may have disconnected in the meantime.
        with contextlib.suppress(OSError):
            if self._tls is None:
                await self._loop.connect_accepted_socket(lambda: protocol, connection)
                return
            await self._loop.connect_accepted_socket(
                lambda: protocol,
                connection,
                ssl=self._tls.server,
                ssl_handshake_timeout=HANDSHAKE_WITHIN_S,
            )


class Server(uvicorn.Server):
    """uvicorn without its signal handlers: the process stops its loops first."""

    _accepting: Accepting | None = None

    def __init__(
        self,
        config: uvicorn.Config,
        limits: ConnectionLimits = ConnectionLimits(),  # noqa: B008 - frozen
        *,
        production: bool = False,
        tls: Certificates | None = None,
    ) -> None:
        super().__init__(config)
        self._tls = tls
        self._limits = limits
        self._headers = safe_headers(production=production)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        listener = self.config.bind_socket()
        listener.settimeout(0)
        listener.listen(self.config.backlog)
        await super().startup(sockets or [])
        self._accepting = Accepting(
            listener, self._new_connection, self._room, self._turn_away, self._tls
        )
        self._accepting.start()

    async def on_tick(self, counter: int) -> bool:
        if counter % LOOKS_FOR_LATE_EVERY == 0:
            self._close_the_late()
        return await super().on_tick(counter)

    def _turn_away(self, connection: socket.socket) -> None:
        count_refused(CROWDED)
        # By TLS nothing can be said before a handshake.
        if self._tls is None:
            with contextlib.suppress(OSError):
                connection.send(CROWDED.rendered([*self._headers, (b"retry-after", b"1")]))
        connection.close()

    def _room(self, connecting: Iterable[asyncio.Protocol] = ()) -> int:
        # A connection may be among the made ones before its accepting ends.
        made = self.server_state.connections
        return self._limits.connections - len(made) - sum(one not in made for one in connecting)

    def _close_the_late(self) -> None:
        now_s = asyncio.get_running_loop().time()
        crowded = self._room() < self._limits.connections * (1 - CROWDED_AT)
        for connection in list(self.server_state.connections):
            # We made them all.
            assert isinstance(connection, Connection | WebSocketConnection)  # noqa: S101
            connection.close_if_late(now_s)
            if crowded:
                connection.make_room()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        if self._accepting is not None:
            await self._accepting.close()
        await self._answer_the_last()
        await super().shutdown(sockets)

    async def _answer_the_last(self) -> None:
        """Close connections with a response: a silent close could cross a request on its way."""
        self.server_state.default_headers.append((b"connection", b"close"))
        if self.server_state.connections:
            await asyncio.sleep(LAST_REQUESTS_S)

    def _new_connection(self) -> asyncio.Protocol:
        state = self.server_state
        return Connection(self.config, state, self.lifespan.state, self._limits, self._headers)
