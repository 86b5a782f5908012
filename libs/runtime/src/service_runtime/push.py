"""Server-sent events: bounded streams to clients, with heartbeat and drain.

Source: WHATWG HTML, section 9.2 (server-sent events).
"""

import asyncio
import re
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from payment_schemas import answers
from payment_schemas.answers import RefusedError
from service_runtime import metrics

HEARTBEAT_S = 15.0
"""Shorter than the idle timeout of proxies, which is a minute as a rule."""
RECONNECT_MS = 1000
_LINE_END = re.compile(r"\r\n|\r|\n")
_HEARTBEAT = b":\n\n"
_RETRY = f"retry: {RECONNECT_MS}\n\n".encode()

_closed = metrics.counter("push_streams_closed", "Streams that the service closed, by reason.")


@dataclass(frozen=True, slots=True)
class ServerEvent:
    """One event of a stream; `id` comes back as `Last-Event-ID` when the client reconnects."""

    data: str
    event: str = "message"
    id: str = ""

    def encoded(self) -> bytes:
        """Return the event's lines; each line of the data is a `data` line."""
        lines = [f"event: {self.event}", *([f"id: {self.id}"] if self.id else [])]
        lines += [f"data: {line}" for line in _LINE_END.split(self.data)]
        return "\n".join([*lines, "", ""]).encode()


Snapshot = Callable[[], Awaitable[ServerEvent | None]]
"""Reads the present state, after the stream has begun to collect events: no change is missed."""
Until = Callable[[ServerEvent], bool]
"""Whether a stream ends after an event."""


@dataclass(frozen=True, slots=True)
class StreamLimits:
    """How many streams may be open at once.

    A client with more than `backlog` (two or more) unsent events is disconnected.
    """

    per_user: int = 10
    process: int = 10_000
    backlog: int = 64


class Stream:
    """The events that one client has not been sent yet; None in the queue ends the stream."""

    def __init__(self, backlog: int) -> None:
        self._events: asyncio.Queue[ServerEvent | None] = asyncio.Queue(backlog)
        self._is_closing = False

    def put(self, event: ServerEvent) -> None:
        """Add an event; close the stream where the client is too far behind."""
        if self._is_closing:
            return
        try:
            self._events.put_nowait(event)
        except asyncio.QueueFull:
            self.close("slow")

    def close(self, reason: Literal["slow", "stopping"]) -> None:
        """End the stream without its backlog; the client reconnects and gets the present state."""
        if self._is_closing:
            return
        self._is_closing = True
        while not self._events.empty():
            self._events.get_nowait()
        self._events.put_nowait(ServerEvent(reason, "closing"))
        self._events.put_nowait(None)
        _closed.add(1, {"reason": reason})

    async def chunks(self, snapshot: Snapshot | None, until: Until | None) -> AsyncIterator[bytes]:
        """Yield what the client is sent, with a heartbeat while there are no events."""
        yield _RETRY
        event = await snapshot() if snapshot is not None else None
        while True:
            if event is not None:
                yield event.encoded()
                if until is not None and until(event):
                    return
            try:
                event = await asyncio.wait_for(self._events.get(), HEARTBEAT_S)
            except TimeoutError:
                yield _HEARTBEAT
                continue
            if event is None:
                return


class Streams:
    """The open streams of a process, by the key that they follow."""

    def __init__(self, limits: StreamLimits = StreamLimits()) -> None:
        self._limits = limits
        self._by_key: defaultdict[str, set[Stream]] = defaultdict(set)
        self._of_user: Counter[str] = Counter()
        self._is_stopping = False
        metrics.gauge("push_streams_open", "Open streams.", lambda: float(self.count))

    @property
    def count(self) -> int:
        """Open streams."""
        return self._of_user.total()

    def publish(self, key: str, event: ServerEvent) -> None:
        """Send an event to every stream of the key. Never waits for a client."""
        for stream in self._by_key.get(key, ()):
            stream.put(event)

    async def run(self, stopping: asyncio.Event) -> None:
        """End all streams when the process stops: their clients reconnect to another process."""
        await stopping.wait()
        self._is_stopping = True
        for streams in self._by_key.values():
            for stream in streams:
                stream.close("stopping")

    @contextmanager
    def opened(self, key: str, user_id: str) -> Iterator[Stream]:
        """Yield a new stream; raise RefusedError with 503 or 429 where a limit is reached."""
        if self._is_stopping or self.count >= self._limits.process:
            raise RefusedError(answers.unavailable())
        if self._of_user[user_id] >= self._limits.per_user:
            raise RefusedError(answers.too_many_requests(1))
        stream = Stream(self._limits.backlog)
        self._by_key[key].add(stream)
        self._of_user[user_id] += 1
        try:
            yield stream
        finally:
            self._by_key[key].discard(stream)
            if not self._by_key[key]:
                del self._by_key[key]
            self._of_user -= Counter([user_id])


class EventStream(Response):
    """The response of a route that streams the events of a key to a user."""

    media_type = "text/event-stream"

    def __init__(
        self,
        streams: Streams,
        key: str,
        user_id: str,
        snapshot: Snapshot | None = None,
        until: Until | None = None,
    ) -> None:
        super().__init__()
        self._streams = streams
        self._key, self._user_id = key, user_id
        self._snapshot, self._until = snapshot, until

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with self._streams.opened(self._key, self._user_id) as stream:
            chunks = stream.chunks(self._snapshot, self._until)
            headers = {"X-Accel-Buffering": "no"}
            response = StreamingResponse(chunks, headers=headers, media_type=self.media_type)
            await response(scope, receive, send)
