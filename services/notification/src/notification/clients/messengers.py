"""The port to a provider, its adapter with a thread pool, and the memory twin."""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Protocol, Self

from notification.domain import NOT_STARTED, Attempt, Kind, Message
from payment_schemas.ids import DeliveryId
from service_runtime import metrics, tracing
from service_runtime.breaker import Breaker
from service_runtime.compute import Bounds, Executor
from service_runtime.errors import Unavailable

Attempts = Mapping[DeliveryId, Attempt]
Call = Sequence[Message]
"""The messages of one call to the provider."""

START_S = 3.0
"""A slice starts no call later: halves of refused calls must fit the lease, too."""
DEADLINE_S = 6.0
"""Of a slice, with all waits for threads. A call that got its thread just before ends at most three
seconds later (`PROVIDER_TIMEOUT_S`), within the slice's lease of ten seconds."""


class Messenger(Protocol):
    """One provider. Never raises: each failure becomes the attempt of its message."""

    @property
    def is_open(self) -> bool:
        """Whether the breaker is open, so that no message would be sent."""
        ...

    async def deliver(self, messages: Sequence[Message]) -> Attempts:
        """Send the messages concurrently; return one attempt per message."""
        ...


def one_each(messages: Sequence[Message]) -> list[Call]:
    """Return a call for each message."""
    return [[message] for message in messages]


@dataclass(frozen=True, slots=True)
class _Slice:
    """The bounds of a slice's calls."""

    began_s: float
    free: asyncio.Semaphore
    """Two slices at once fill the threads and their queue."""


class ThreadedMessenger:
    """A blocking provider SDK in a bounded thread pool, behind a breaker.

    `send` returns one attempt for all messages of a call. A refused call is sent again in halves,
    so that only the messages that cause the refusal are refused.
    """

    def __init__(
        self,
        name: str,
        send: Callable[[Call], Attempt],
        threads: int,
        calls_of: Callable[[Sequence[Message]], Sequence[Call]] = one_each,
    ) -> None:
        self._name = name
        self._send = send
        self._calls_of = calls_of
        self._most_calls = threads
        # One slice of messages is sent while the next one waits.
        self._threads = Executor(name, Bounds(threads, queue=threads, deadline_s=DEADLINE_S))
        self._breaker = Breaker()
        metrics.gauge(
            f"breaker_state_{name}",
            "0 closed, 1 half open, 2 open.",
            lambda: float(self._breaker.shown(time.monotonic())),
        )

    async def __aenter__(self) -> Self:
        await self._threads.__aenter__()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._threads.__aexit__(*error)

    @property
    def is_open(self) -> bool:
        return self._breaker.is_open(asyncio.get_running_loop().time())

    async def deliver(self, messages: Sequence[Message]) -> Attempts:
        began_s = asyncio.get_running_loop().time()
        part = _Slice(began_s, asyncio.Semaphore(self._most_calls))
        calls = self._calls_of(messages)
        found = await asyncio.gather(*[self._in_halves(call, part) for call in calls])
        return {name: attempt for attempts in found for name, attempt in attempts.items()}

    async def _in_halves(self, call: Call, part: _Slice) -> Attempts:
        async with part.free:
            attempt = await self._guarded(call, part.began_s)
        middle = len(call) // 2
        if attempt.kind is not Kind.REFUSED or not middle:
            return {message.delivery_id: attempt for message in call}
        halves = (self._in_halves(half, part) for half in (call[:middle], call[middle:]))
        first, second = await asyncio.gather(*halves)
        return {**first, **second}

    async def _guarded(self, call: Call, began_s: float) -> Attempt:
        loop = asyncio.get_running_loop()
        if loop.time() >= began_s + START_S:
            return Attempt(Kind.NOT_TAKEN, NOT_STARTED)
        if not self._breaker.admits(loop.time()):
            return Attempt(Kind.NOT_TAKEN, "breaker_open")
        ok: bool | None = None
        try:
            with self._span_of(call), tracing.calling(f"POST {self._name}"):
                async with asyncio.timeout_at(began_s + DEADLINE_S):
                    attempt = await self._threads.run(self._send, call)
            ok = attempt.kind is not Kind.NOT_TAKEN
        except (TimeoutError, Unavailable) as error:
            ok = False
            return Attempt(Kind.NOT_TAKEN, type(error).__name__)
        finally:
            self._breaker.ended(loop.time(), ok=ok)
        return attempt

    @staticmethod
    def _span_of(call: Call) -> AbstractContextManager[None]:
        """Return the message's span; a call for many belongs to the slice's first span."""
        return tracing.use_span(call[0].delivery_id) if len(call) == 1 else nullcontext()


@dataclass
class MemoryMessenger:
    """The memory twin: keeps each delivery once; can refuse recipients and be down."""

    kept: dict[DeliveryId, Message] = field(default_factory=dict)
    given: list[DeliveryId] = field(default_factory=list)
    refuses: set[str] = field(default_factory=set)
    is_down: bool = False
    is_open: bool = False

    async def deliver(self, messages: Sequence[Message]) -> Attempts:
        return {message.delivery_id: self._deliver(message) for message in messages}

    def _deliver(self, message: Message) -> Attempt:
        if self.is_down:
            return Attempt(Kind.NOT_TAKEN, "down")
        if message.to.reveal() in self.refuses:
            return Attempt(Kind.REFUSED, "provider_21211")
        self.given.append(message.delivery_id)
        self.kept.setdefault(message.delivery_id, message)
        return Attempt(Kind.TAKEN, provider_id=f"SM{message.delivery_id.hex}")
