"""The port to a provider, its adapter with a thread pool, and the memory twin."""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, Self

from notification.domain import Attempt, Kind, Message
from payment_schemas.ids import DeliveryId
from service_runtime import metrics, tracing
from service_runtime.breaker import Breaker
from service_runtime.compute import Bounds, Executor
from service_runtime.errors import Unavailable

Attempts = Mapping[DeliveryId, Attempt]

DEADLINE_S = 6.0
"""Of a call with its wait for a thread; a slice must fit its lease of ten seconds."""


class Messenger(Protocol):
    """One provider. Never raises: each failure becomes the attempt of its message."""

    @property
    def is_open(self) -> bool:
        """Whether the breaker is open, so that no message would be sent."""
        ...

    async def deliver(self, messages: Sequence[Message]) -> Attempts:
        """Send the messages concurrently; return one attempt per message."""
        ...


class ThreadedMessenger:
    """A blocking provider SDK in a bounded thread pool, behind a breaker."""

    def __init__(self, name: str, send: Callable[[Message], Attempt], threads: int) -> None:
        self._name = name
        self._send = send
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
        attempts = await asyncio.gather(*[self._guarded(message) for message in messages])
        return {one.delivery_id: attempt for one, attempt in zip(messages, attempts, strict=True)}

    async def _guarded(self, message: Message) -> Attempt:
        loop = asyncio.get_running_loop()
        if not self._breaker.admits(loop.time()):
            return Attempt(Kind.NOT_TAKEN, "breaker_open")
        ok: bool | None = None
        try:
            with tracing.use_span(message.delivery_id), tracing.calling(f"POST {self._name}"):
                attempt = await self._threads.run(self._send, message)
            ok = attempt.kind is not Kind.NOT_TAKEN
        except (TimeoutError, Unavailable) as error:
            ok = False
            return Attempt(Kind.NOT_TAKEN, type(error).__name__)
        finally:
            self._breaker.ended(loop.time(), ok=ok)
        return attempt


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
