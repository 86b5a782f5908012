"""A WebSocket connection of the HTTP server: small messages, pings, a limit of unread bytes.

Source: RFC 6455. uvicorn limits neither how long a client leaves its messages unread nor what a
handshake may look like.
"""

import asyncio
from math import inf
from typing import Any

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

MAX_MESSAGE_BYTES = 16 * 1024
"""Of a client's message: room for a token, which has 8 KiB at most."""
PING_S = 15
"""Shorter than the idle timeout of proxies; a client that leaves a ping unanswered for as long is
gone."""
UNREAD_WITHIN_S = 10.0
"""How long a client may leave its responses or messages unread."""
MAX_LINE_BYTES = 8192
"""Of a header: the limit of the package `websockets`."""
NO_HANDSHAKE = {b"content-length", b"transfer-encoding"}

OPTIONS: dict[str, Any] = {
    "ws_max_size": MAX_MESSAGE_BYTES,
    "ws_ping_interval": PING_S,
    "ws_ping_timeout": PING_S,
    # A compressor costs a client's connection some 300 KiB.
    "ws_per_message_deflate": False,
}
"""Arguments of uvicorn's configuration."""


def is_handshake(method: bytes, headers: list[tuple[bytes, bytes]]) -> bool:
    """Return whether a request is the handshake of RFC 6455; any other is answered as HTTP/1.1."""
    given = dict(headers)
    return (
        method == b"GET"
        and given.get(b"upgrade", b"").lower() == b"websocket"
        and given.get(b"sec-websocket-version") == b"13"
        and b"sec-websocket-key" in given
        and not NO_HANDSHAKE & given.keys()
        and all(len(name) + len(value) + 4 <= MAX_LINE_BYTES for name, value in headers)
    )


class UnreadLimit(asyncio.Protocol):
    """Knows until when a client must read: `_unread_due_s`, on the loop's clock."""

    loop: asyncio.AbstractEventLoop
    _unread_due_s = inf

    def pause_writing(self) -> None:
        super().pause_writing()
        self._unread_due_s = self.loop.time() + UNREAD_WITHIN_S

    def resume_writing(self) -> None:
        super().resume_writing()
        self._unread_due_s = inf


class WebSocketConnection(UnreadLimit, WebSocketsSansIOProtocol):
    """A connection after its handshake; the server calls `close_if_late` some times a second."""

    def close_if_late(self, now_s: float) -> None:
        """Close the connection of a client that does not read."""
        if now_s >= self._unread_due_s:
            self.transport.abort()

    def make_room(self) -> None:
        """Stay: an open socket is in use."""

    def handle_parser_exception(self) -> None:
        if self.conn.close_sent is None:
            self.transport.abort()
            return
        super().handle_parser_exception()
