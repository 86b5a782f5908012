"""One connection to the HTTP server, limited before the application sees a request.

uvicorn limits neither the size of a head nor the time for a head or a body. It loses the body of a
request that offers another protocol, and its response to invalid HTTP is not JSON.
"""

import asyncio
import json
import select
from collections.abc import Collection
from dataclasses import dataclass
from http import HTTPStatus
from math import inf
from typing import Any

import httptools
import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from service_runtime import metrics
from service_runtime.clock import SystemClock
from service_runtime.tls import CLIENT_NAMES, names_of
from service_runtime.websocket_connection import UNREAD_WITHIN_S, UnreadLimit, is_handshake

MAX_HEAD_BYTES = 16 * 1024
MAX_HEAD_LINES = 64
MAX_DISCARDED_BYTES = 16 * 1024 * 1024
"""Of a body whose request has its response already; more closes the connection."""
LINGER_S = 1.0
"""Closing a connection with unread bytes resets it, and the client loses the last response."""
LAST_ANSWER_WITHIN_S = 30.0
"""How long a refused connection stays open for the response to the previous request."""
STEP_BYTES = 4096
"""Bytes that the parser gets at once, so that it holds little more than the limit."""
NO_REQUEST_BODY = b"CONNECT"
_NO_PAGE = (
    b"default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; sandbox"
)
"""For a browser that opens a response as a page; the one page of a service has its own policy."""
UPGRADES = {b"upgrade", b"http2-settings"}
Headers = list[tuple[bytes, bytes]]

_refused = metrics.counter(
    "http_refused_connections", "Connections refused before the application, by status."
)
_clock = SystemClock()


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """Limits of a client. Source: the design of the edge; OWASP ASVS 5.0, 4.2 and 13.1."""

    head_within_s: float = 10.0
    """From the connection, or from a later request's first byte, to the end of the head."""
    body_within_s: float = 10.0
    connections: int = 4096


@dataclass(frozen=True, slots=True)
class Refusal:
    """A response of the server itself; the connection is closed after it."""

    status: int
    error: str

    def rendered(self, headers: Headers) -> bytes:
        """Return the whole response, with the server's headers."""
        body = json.dumps({"error": self.error}, separators=(",", ":")).encode()
        lines = [
            b"HTTP/1.1 %d %s" % (self.status, HTTPStatus(self.status).phrase.encode()),
            b"content-type: application/json",
            b"content-length: %d" % len(body),
            b"x-request-id: %s" % str(_clock.new_id()).encode(),
            *(b"%s: %s" % header for header in headers if header[0] != b"connection"),
            b"connection: close",
        ]
        return b"\r\n".join([*lines, b"", body])


MALFORMED = Refusal(400, "Malformed request")
TOO_SLOW = Refusal(408, "Request timeout")
HEAD_TOO_LARGE = Refusal(431, "Headers too large")
CROWDED = Refusal(503, "Service unavailable")


def count_refused(refusal: Refusal) -> None:
    """Count a refusal before the application: no request metric has it."""
    _refused.add(1, {"status": str(refusal.status)})


def safe_headers(*, production: bool) -> Headers:
    """Return the security headers of every response. Source: OWASP ASVS 5.0, 3.4 and 14.3."""
    headers = [
        (b"x-content-type-options", b"nosniff"),
        (b"cache-control", b"no-store"),
        (b"content-security-policy", _NO_PAGE),
        (b"referrer-policy", b"no-referrer"),
    ]
    if production:
        headers.append((b"strict-transport-security", b"max-age=31536000; includeSubDomains"))
    return headers


class Connection(UnreadLimit, HttpToolsProtocol):
    """A connection with limits of size and time for its client.

    The server calls `close_if_late` some times a second: a timer for each request costs more.
    """

    def __init__(
        self,
        config: uvicorn.Config,
        state: ServerState,
        app_state: dict[str, Any],
        limits: ConnectionLimits,
        headers: Headers,
    ) -> None:
        super().__init__(config, state, app_state)
        self._limits = limits
        self._own_headers = headers
        self._due_s = inf
        self._refusal: Refusal | None = None
        self._is_over = False
        self._is_reading = False
        self._in_head = False
        self._upgrades = False
        self._got_on = False
        self._peer: Collection[str] | None = None
        self._socket: asyncio.Protocol | None = None
        self._held_bytes = self._head_bytes = self._head_lines = self._discarded_bytes = 0

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        if self.scheme == "https":
            self._peer = names_of(transport.get_extra_info("peercert"))
        self._due_s = self.loop.time() + self._limits.head_within_s

    def data_received(self, data: bytes) -> None:
        if self._is_over:
            self._discard(len(data))
            return
        if not self._is_busy:
            # The time for the head begins here: the parser does not report line ends before a head.
            self._due_s = min(self._due_s, self.loop.time() + self._limits.head_within_s)
        self._unset_keepalive_if_required()
        for start in range(0, len(data), STEP_BYTES):
            piece = data[start : start + STEP_BYTES]
            if self._socket is not None:
                self._socket.data_received(piece)
            elif not self._is_over:
                self._feed(piece)

    @property
    def _is_busy(self) -> bool:
        """Whether a request is being read or answered."""
        answering = self.cycle is not None and not self.cycle.response_complete
        return self._is_reading or answering

    @property
    def _is_answered(self) -> bool:
        """Whether the request whose body still arrives has its response already."""
        return self._is_reading and not self._in_head and bool(self.cycle.response_complete)

    def _feed(self, data: bytes) -> None:
        self._got_on = False
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._upgrade(data[upgrade.args[0] :])
            return
        except httptools.HttpParserError:
            self._refuse(self._refusal or MALFORMED)
            return
        # A head, a trailer or a chunk's extension that the parser has not reported yet.
        self._held_bytes = 0 if self._got_on else self._held_bytes + len(data)
        if self._held_bytes > MAX_HEAD_BYTES:
            self._refuse(HEAD_TOO_LARGE)

    def _upgrade(self, rest: bytes) -> None:
        """Begin a WebSocket where the app has them; else go on with HTTP/1.1."""
        method = self.parser.get_method()
        answering = self.pipeline or (self.cycle is not None and not self.cycle.response_complete)
        is_new = self.parser.get_http_version() == "1.1" and not answering
        if self.ws_protocol_class is None or not (is_new and is_handshake(method, self.headers)):
            self._stay_with_http1(rest)
            return
        self.connections.discard(self)
        # uvicorn declares no more than a protocol.
        made: Any = self.ws_protocol_class
        self._socket = socket = made(self.config, self.server_state, self.app_state)
        socket.connection_made(self.transport)
        self.transport.set_protocol(socket)
        socket.data_received(self._head(self.headers, rest))

    def _stay_with_http1(self, rest: bytes) -> None:
        """Parse a request again without its upgrade header, which makes uvicorn lose the body."""
        head = self._head(_without_upgrade(self.headers), rest)
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
        self._upgrades = False
        self._feed(head)

    def _head(self, headers: Headers, rest: bytes) -> bytes:
        version = self.parser.get_http_version().encode()
        head = [b"%s %s HTTP/%s" % (self.parser.get_method(), self.url, version)]
        return b"\r\n".join([*head, *(b"%s: %s" % header for header in headers), b"", rest])

    def on_message_begin(self) -> None:
        super().on_message_begin()
        if self._peer is not None:
            self.scope["extensions"] = {"tls": {CLIENT_NAMES: self._peer}}
        self._is_reading = self._in_head = True
        self._head_bytes = self._head_lines = 0
        self._due_s = min(self._due_s, self.loop.time() + self._limits.head_within_s)

    def on_url(self, url: bytes) -> None:
        super().on_url(url)
        self._count(len(url), 0)

    def on_header(self, name: bytes, value: bytes) -> None:
        self._count(len(name) + len(value) + len(b": \r\n"), 1)
        # Trailers are ignored: the application may have read the headers already.
        if self._in_head:
            super().on_header(name, value)

    def _count(self, size: int, lines: int) -> None:
        self._head_bytes += size
        self._head_lines += lines
        if self._head_bytes > MAX_HEAD_BYTES or self._head_lines > MAX_HEAD_LINES:
            self._refusal = HEAD_TOO_LARGE
            raise ValueError(HEAD_TOO_LARGE.error)

    def on_headers_complete(self) -> None:
        self._got_on = True
        if self.parser.get_method() == NO_REQUEST_BODY:
            raise ValueError("no proxy")
        self._upgrades = self.parser.should_upgrade()
        if not self._upgrades:
            super().on_headers_complete()
            self._in_head = False
            self._due_s = self.loop.time() + self._limits.body_within_s

    def on_body(self, body: bytes) -> None:
        self._got_on = True
        super().on_body(body)
        if self.cycle.response_complete:
            self._discard(len(body))

    def on_message_complete(self) -> None:
        self._got_on = True
        if self._upgrades:
            return
        super().on_message_complete()
        self._is_reading = False
        self._due_s = inf
        if self.cycle.response_complete:
            self._due_s = self.loop.time() + self.timeout_keep_alive

    def close_if_late(self, now_s: float) -> None:
        """Close the connection of a client that has exceeded a time limit."""
        if now_s >= self._unread_due_s:
            self.transport.abort()
        elif self.transport.is_closing() and self._due_s == inf:
            self._due_s = now_s + UNREAD_WITHIN_S
        elif now_s >= self._due_s:
            self._late(now_s)

    def _late(self, now_s: float) -> None:
        if self.transport.is_closing():
            self.transport.abort()
        elif self._is_over or not self._is_reading or self._is_answered:
            self._due_s = now_s + LINGER_S
            self.transport.close()
        elif self.flow.read_paused:
            # The server has paused reading; the client is not late.
            self._due_s = now_s + self._limits.body_within_s
        else:
            self._refuse(TOO_SLOW)

    def make_room(self) -> None:
        """Close the connection if it waits for a request after others."""
        if self.cycle is not None and not self._is_busy:
            self.shutdown()

    def shutdown(self) -> None:
        # A busy event loop may hold a request that it has not read yet.
        if not _has_unread(self.transport):
            super().shutdown()

    def _refuse(self, refusal: Refusal) -> None:
        """Send the refusal where that is possible, and close the connection."""
        count_refused(refusal)
        self._is_over = True
        self._due_s = self.loop.time() + LINGER_S
        if self._is_answered:
            self.transport.close()
            return
        if self.pipeline or (self.cycle is not None and self._is_awaited(self.cycle)):
            # The previous request gets its response first.
            self.cycle.keep_alive = False
            self._due_s += LAST_ANSWER_WITHIN_S
            return
        if self.cycle is not None and not self.cycle.response_complete:
            self.cycle.disconnected = True
            self.cycle.message_event.set()
            if self.cycle.response_started:
                self.transport.close()
                return
        self.flow.resume_reading()
        headers = [*self.server_state.default_headers, *self._own_headers]
        self.transport.write(refusal.rendered(headers))
        if refusal is TOO_SLOW:
            self.transport.close()

    @staticmethod
    def _is_awaited(cycle: Any) -> bool:
        return not cycle.response_complete and not cycle.more_body

    def _discard(self, size: int) -> None:
        self._discarded_bytes += size
        if self._discarded_bytes > MAX_DISCARDED_BYTES:
            self.transport.close()


def _without_upgrade(headers: Headers) -> Headers:
    kept = [(name, value) for name, value in headers if name not in UPGRADES]
    return [(n, _other_options(v)) if n == b"connection" else (n, v) for n, v in kept]


def _other_options(value: bytes) -> bytes:
    options = [option.strip() for option in value.split(b",")]
    return b", ".join(one for one in options if one.lower() not in UPGRADES)


def _has_unread(transport: Any) -> bool:
    look = select.poll()
    look.register(transport.get_extra_info("socket").fileno(), select.POLLIN)
    return bool(look.poll(0))
