"""What one WebSocket follows: its payments, and the one bounded queue of their statuses."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from dataclasses import dataclass, field

from gateway.clients.reads import Reads
from gateway.clients.statuses import present_status
from gateway.routes.socket_messages import Message, status_text, text_of
from payment_schemas import answers
from payment_schemas.answers import RefusedError
from payment_schemas.ids import payment_id_of
from service_runtime.push import GrowingIds, ServerEvent, Streams, Subscription


@dataclass(slots=True)
class _Followed:
    """A payment that the client follows."""

    transaction_id: str
    seen: GrowingIds
    place: ExitStack = field(default_factory=ExitStack)
    """Its place among the process's streams."""
    early: list[ServerEvent] | None = field(default_factory=list)
    """Statuses that came before the current one was read; None from then on."""


class Following:
    """The payments of one socket."""

    def __init__(
        self, streams: Streams, reads: Reads, send: Callable[[str], Awaitable[None]]
    ) -> None:
        self._streams = streams
        self._reads = reads
        self._send = send
        self._one_at_a_time = asyncio.Lock()
        self._by_key: dict[str, _Followed] = {}
        self.stream = streams.new_stream()

    def __len__(self) -> int:
        return len(self._by_key)

    async def add(self, user_id: str, wish: Message) -> None:
        """Follow a payment and send its current status, where that is new to the client.

        Raises RefusedError: over the limits, unknown payment, confirm does not respond.
        """
        key = str(payment_id_of(user_id, wish.value))
        if key in self._by_key:
            return
        followed = _Followed(wish.value, GrowingIds(wish.last_event_id))
        followed.place.enter_context(self._streams.opened(Subscription(key, user_id), self.stream))
        self._by_key[key] = followed
        try:
            present = await present_status(self._reads, user_id, wish.value, followed.seen)
        except BaseException:
            self._drop(key)
            raise
        early, followed.early = followed.early or [], None
        for event in (present, *early):
            await self._deliver(followed, event)

    async def remove(self, user_id: str, transaction_id: str) -> None:
        """Follow a payment no longer; raise RefusedError where it is not followed."""
        key = str(payment_id_of(user_id, transaction_id))
        if key not in self._by_key:
            raise RefusedError(answers.not_subscribed(transaction_id))
        self._drop(key)
        await self._send(text_of(event="unsubscribed", transaction_id=transaction_id))

    async def deliver(self, event: ServerEvent) -> None:
        """Send a status of a payment, unless the client has seen it or no longer follows it."""
        followed = self._by_key.get(event.key)
        if followed is None:
            return
        if followed.early is not None:
            followed.early.append(event)
            return
        await self._deliver(followed, event)

    def close(self) -> None:
        """Give all places back."""
        for key in list(self._by_key):
            self._drop(key)

    async def _deliver(self, followed: _Followed, event: ServerEvent) -> None:
        async with self._one_at_a_time:
            if self._by_key.get(event.key) is not followed:
                return
            if followed.seen(event):
                await self._send(status_text(event))
            if event.is_last:
                self._drop(event.key)
                name = followed.transaction_id
                await self._send(text_of(event="unsubscribed", transaction_id=name, reason="final"))

    def _drop(self, key: str) -> None:
        if followed := self._by_key.pop(key, None):
            followed.place.close()
