"""Server-sent events: bounded streams to clients, with heartbeat and drain.

Source: WHATWG HTML, section 9.2 (server-sent events).
"""

import asyncio
import re
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from math import inf
from typing import Literal

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from payment_schemas import answers
from payment_schemas.answers import RefusedError
from service_runtime import metrics

HEARTBEAT_S = 15.0
"""Shorter than the idle timeout of proxies, which is a minute as a rule."""
RECONNECT_MS = 1000
CLOSING = "closing"
"""The last event of a stream that the service ends; its data is the reason."""
MOST_ID_DIGITS = 9
_LINE_END = re.compile(r"\r\n|\r|\n")
_HEADERS = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    # A proxy must not wait for more.
    (b"x-accel-buffering", b"no"),
]
_RETRY = f"retry: {RECONNECT_MS}\n\n".encode()

_closed = metrics.counter("push_streams_closed", "Streams that the service closed, by reason.")

Reason = Literal["slow", "stopping", "expired", "gap"]
"""Why the service ends a stream: a slow client, its stop, the caller's token, missed events."""


@dataclass(frozen=True, slots=True)
class ServerEvent:
    """One event of a stream; `id` comes back as `Last-Event-ID` when the client reconnects."""

    data: str
    event: str = "message"
    """Empty: a comment, which clients ignore."""
    id: str = ""
    is_last: bool = False
    """Whether no event can follow: the stream ends after it."""
    key: str = ""
    """What it is about; for a client that follows several keys."""

    def encoded(self) -> bytes:
        """Return the event's lines; each line of the data is a `data` line."""
        data = _LINE_END.split(self.data)
        if not self.event:
            return "\n".join([*(f": {line}" for line in data), "", ""]).encode()
        lines = [f"event: {self.event}", *([f"id: {self.id}"] if self.id else [])]
        if self.event == CLOSING:
            lines.append(f"retry: {RECONNECT_MS}")
        return "\n".join([*lines, *(f"data: {line}" for line in data), "", ""]).encode()


HEARTBEAT = ServerEvent("", "")

Snapshot = Callable[[], Awaitable[ServerEvent | None]]
"""Reads the current state, after the stream has begun to collect events: no change is missed."""
Accepts = Callable[[ServerEvent], bool]
"""Whether a client gets an event; False for one that the client has seen."""


def every_event(_event: ServerEvent) -> bool:
    """Accept every event."""
    return True


class GrowingIds:
    """Accepts an event whose id, a number, is higher than that of every event before it."""

    def __init__(self, last_event_id: str | None = None) -> None:
        """`last_event_id`: what the client has seen, as it says; anything but a number is 0."""
        given = last_event_id or ""
        is_number = given.isascii() and given.isdigit() and len(given) <= MOST_ID_DIGITS
        self._last = int(given) if is_number else -1

    def __call__(self, event: ServerEvent) -> bool:
        """Return whether the event is new; one without an id always is."""
        if not event.id:
            return True
        is_new = int(event.id) > self._last
        self._last = max(self._last, int(event.id))
        return is_new

    def forget_above(self, present: int) -> None:
        """Take what the client says as none where it is above the current id: it was never sent."""
        if self._last > present:
            self._last = -1


@dataclass(frozen=True, slots=True)
class StreamLimits:
    """How many streams may be open at once.

    A client with more than `backlog` unsent events is disconnected.
    """

    per_user: int = 10
    process: int = 10_000
    backlog: int = 64


@dataclass(frozen=True, slots=True)
class Subscription:
    """What a user wants to follow."""

    key: str
    user_id: str
    ends_at_s: float = inf
    """When the user's token expires, in seconds since 1970: a stream ends then."""


class Stream:
    """The events that one client has not been sent yet; None ends the stream.

    Without asyncio's queue, which holds 3 KiB of empty buffers for each of thousands of clients.
    """

    def __init__(self, backlog: int) -> None:
        self._backlog = backlog
        self._events: list[ServerEvent | None] = []
        self._arrived: asyncio.Future[None] | None = None
        self._is_closing = False

    def put(self, event: ServerEvent) -> None:
        """Add an event; close the stream where the client is too far behind."""
        if self._is_closing:
            return
        if len(self._events) >= self._backlog:
            self.close("slow")
            return
        self._events.append(event)
        self._wake()

    def close(self, reason: Reason) -> None:
        """End the stream without its backlog; the client reconnects and gets the current state."""
        if not self._is_closing:
            self._end(ServerEvent(reason, CLOSING))
            _closed.add(1, {"reason": reason})

    def leave(self) -> None:
        """End the stream of a client that is gone."""
        self._end()

    async def next(self, ends_at_s: float = inf) -> ServerEvent | None:
        """Return the next event, a comment after a time without one, or None at the end.

        `ends_at_s`: when the stream ends at the latest, in seconds since 1970.
        """
        left_s = ends_at_s - time.time()
        if left_s <= 0:
            self.close("expired")
        if not self._events:
            await self._arrival(min(HEARTBEAT_S, left_s))
        return self._events.pop(0) if self._events else HEARTBEAT

    async def _arrival(self, within_s: float) -> None:
        """Wait for an event, for a bounded time."""
        loop = asyncio.get_running_loop()
        self._arrived = loop.create_future()
        timer = loop.call_later(within_s, self._wake)
        try:
            await self._arrived
        finally:
            timer.cancel()
            self._arrived = None

    def _end(self, *last: ServerEvent) -> None:
        self._is_closing = True
        self._events = [*last, None]
        self._wake()

    def _wake(self) -> None:
        if self._arrived is not None and not self._arrived.done():
            self._arrived.set_result(None)


class Streams:
    """The open streams of a process, by the key that they follow."""

    def __init__(self, limits: StreamLimits = StreamLimits()) -> None:
        self._limits = limits
        self._by_key: defaultdict[str, set[Stream]] = defaultdict(set)
        self._of_user: Counter[str] = Counter()
        self.count = 0
        """Open streams."""
        self.is_stopping = False
        self.heartbeat = HEARTBEAT
        """What a client is sent after a time without an event: a comment."""
        metrics.gauge("push_streams_open", "Open streams.", lambda: float(self.count))

    def has(self, key: str) -> bool:
        """Return whether a stream follows the key."""
        return key in self._by_key

    def publish(self, key: str, event: ServerEvent) -> None:
        """Send an event to every stream of the key. Never waits for a client."""
        for stream in self._by_key.get(key, ()):
            stream.put(event)

    def publish_to_all(self, event: ServerEvent) -> None:
        """Send an event to every stream."""
        for stream in self._all():
            stream.put(event)

    def close_all(self, reason: Reason) -> None:
        """End all streams: their clients reconnect and get the current state."""
        for stream in self._all():
            stream.close(reason)

    def _all(self) -> set[Stream]:
        return {stream for streams in self._by_key.values() for stream in streams}

    async def run(self, stopping: asyncio.Event) -> None:
        """End all streams when the process stops: their clients reconnect to another process."""
        await stopping.wait()
        self.is_stopping = True
        self.close_all("stopping")

    def new_stream(self) -> Stream:
        """Return a stream that follows no key yet."""
        return Stream(self._limits.backlog)

    @contextmanager
    def opened(self, wish: Subscription, stream: Stream | None = None) -> Iterator[Stream]:
        """Yield a new stream that follows the key; or let the given one follow it, too.

        Raises RefusedError with 503 or 429 where a limit is reached: each key counts.
        """
        if self.is_stopping or self.count >= self._limits.process:
            raise RefusedError(answers.unavailable())
        if self._of_user[wish.user_id] >= self._limits.per_user:
            raise RefusedError(answers.too_many_requests(1))
        stream = stream or self.new_stream()
        self._by_key[wish.key].add(stream)
        self._of_user[wish.user_id] += 1
        self.count += 1
        try:
            yield stream
        finally:
            self._by_key[wish.key].discard(stream)
            if not self._by_key[wish.key]:
                del self._by_key[wish.key]
            self._of_user -= Counter([wish.user_id])
            self.count -= 1


class EventStream(Response):
    """The response of a route that streams the events of a key to a user."""

    def __init__(
        self,
        streams: Streams,
        wish: Subscription,
        snapshot: Snapshot | None = None,
        accepts: Accepts = every_event,
    ) -> None:
        super().__init__()
        self._streams = streams
        self._wish = wish
        self._snapshot, self._accepts = snapshot, accepts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with self._streams.opened(self._wish) as stream:
            first = await self._snapshot() if self._snapshot is not None else None
            if first is not None and not self._accepts(first):
                if first.is_last:
                    # After 204 a client does not reconnect. Source: WHATWG HTML, 9.2.
                    await Response(status_code=HTTPStatus.NO_CONTENT)(scope, receive, send)
                    return
                first = None
            await self._send(stream, first, receive, send)

    async def _send(
        self, stream: Stream, first: ServerEvent | None, receive: Receive, send: Send
    ) -> None:
        """Send what the client gets, until it leaves.

        Without StreamingResponse, whose group of tasks costs as much memory as all the rest.
        """
        leaving = asyncio.create_task(_left(receive, stream))
        try:
            await send({"type": "http.response.start", "status": 200, "headers": _HEADERS})
            async for chunk in self._chunks(stream, first):
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
            await send({"type": "http.response.body"})
        finally:
            leaving.cancel()

    async def _chunks(self, stream: Stream, first: ServerEvent | None) -> AsyncIterator[bytes]:
        yield _RETRY
        if first is not None:
            yield first.encoded()
            if first.is_last:
                return
        if self._streams.heartbeat is not HEARTBEAT:
            yield self._streams.heartbeat.encoded()
        while (event := await stream.next(self._wish.ends_at_s)) is not None:
            if event is HEARTBEAT:
                yield self._streams.heartbeat.encoded()
            elif self._accepts(event):
                yield event.encoded()
                if event.is_last:
                    return


async def _left(receive: Receive, stream: Stream) -> None:
    """End the stream when the client has disconnected."""
    while (await receive())["type"] != "http.disconnect":
        pass
    stream.leave()
