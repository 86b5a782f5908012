"""Sends commands to confirm through Kafka; receives the replies on the gateway's own partition."""

import asyncio
import contextlib
from datetime import timedelta
from functools import partial
from typing import Any, Protocol, Self
from uuid import UUID

from aiokafka.errors import KafkaError
from opentelemetry.trace import Span

from payment_schemas.answers import Answer
from payment_schemas.events.confirmation import ConfirmAnswered, ConfirmRequested
from service_runtime import tracing
from service_runtime.broadcast import Broadcast
from service_runtime.brokers import Brokers
from service_runtime.clock import Clock
from service_runtime.errors import Rejected, Unavailable
from service_runtime.message_macs import MessageMacs
from service_runtime.messages import Cause, Emit, Trace
from service_runtime.producer import KafkaProducer
from service_runtime.serving import LAST_REQUESTS_S

PARTITIONS = 32
PUBLISH_WITHIN_S = 1.0
LAST_ANSWERS_WITHIN_S = 2.5
"""How long a stopping gateway waits for replies: after 4 s the server ends requests with 500."""


class Confirmation(Protocol):
    """Confirm's commands and replies."""

    @property
    def is_full(self) -> bool:
        """Whether so many requests wait that `ask` would raise Unavailable."""
        ...

    async def ask(self, command: ConfirmRequested, trace: Trace, within_s: float) -> Answer | None:
        """Return confirm's reply, or None where it did not arrive in time.

        Raises Unavailable where it is certain that nothing was sent.
        """
        ...


class Answers:
    """Reads the replies on this gateway's partition and passes each to its waiting request."""

    def __init__(self, brokers: Brokers, instance: int, macs: MessageMacs) -> None:
        self.partition = instance % PARTITIONS
        self._waiting: dict[UUID, asyncio.Future[Answer | None]] = {}
        self._broadcast = Broadcast(
            brokers, ConfirmAnswered, self._received, [self.partition], macs
        )
        self._is_over = False
        self.ready = self._broadcast.ready

    async def __aenter__(self) -> Self:
        await self._broadcast.__aenter__()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._broadcast.__aexit__(*error)

    @property
    def waiting(self) -> int:
        """Requests that wait now."""
        return len(self._waiting)

    def expect(self, request_id: UUID) -> asyncio.Future[Answer | None]:
        """Return the future of a reply, None if the process stops first; always `forget` it."""
        future: asyncio.Future[Answer | None] = asyncio.get_running_loop().create_future()
        self._waiting[request_id] = future
        if self._is_over:
            _resolve(future, None)
        return future

    def forget(self, request_id: UUID) -> None:
        """Stop waiting for a reply."""
        self._waiting.pop(request_id, None)

    async def run(self, stopping: asyncio.Event) -> None:
        """Pass on replies; when the process stops, wait for the last ones, for a bounded time."""
        await self._broadcast.run(stopping)
        last_request_s = asyncio.get_running_loop().time() + LAST_REQUESTS_S
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LAST_ANSWERS_WITHIN_S):
                while self._waiting or asyncio.get_running_loop().time() < last_request_s:
                    await self._broadcast.poll()
        self._is_over = True
        for future in self._waiting.values():
            _resolve(future, None)

    def _received(self, event: ConfirmAnswered) -> None:
        # An unknown request is another gateway's: instances 32 apart share a partition.
        if future := self._waiting.get(event.request_id):
            _resolve(future, Answer(event.status, event.body, event.headers))


def _resolve(future: asyncio.Future[Answer | None], answer: Answer | None) -> None:
    if not future.done():
        future.set_result(answer)


class KafkaConfirmation:
    """Publishes commands and waits for the replies."""

    def __init__(
        self,
        producer: KafkaProducer,
        answers: Answers,
        clock: Clock,
        most_waiting: int,
        expires_after: timedelta,
    ) -> None:
        self._producer = producer
        self._answers = answers
        self._clock = clock
        self._most_waiting = most_waiting
        self._expires_after = expires_after
        self._republishing: set[asyncio.Task[None]] = set()

    @property
    def is_full(self) -> bool:
        return self._answers.waiting >= self._most_waiting

    async def ask(self, command: ConfirmRequested, trace: Trace, within_s: float) -> Answer | None:
        if self.is_full:
            raise Unavailable("too many requests wait")
        addressed = command.model_copy(
            update={
                "reply_partition": self._answers.partition,
                "expires_at": self._clock.now() + self._expires_after,
            }
        )
        emit = Emit(addressed, Cause(command.request_id, trace))
        future = self._answers.expect(command.request_id)
        deadline_s = asyncio.get_running_loop().time() + within_s
        try:
            await self._publish(emit, future)
            async with asyncio.timeout_at(deadline_s):
                return await future
        except TimeoutError:
            return None
        finally:
            self._answers.forget(command.request_id)

    async def _publish(self, emit: Emit, answer: asyncio.Future[Answer | None]) -> None:
        """Pass the command to the producer, which may deliver it from then on."""
        outgoing, span = tracing.sending(emit.outgoing("gateway", self._clock.now()))
        try:
            async with asyncio.timeout(PUBLISH_WITHIN_S):
                if not await self._producer.takes(outgoing):
                    raise Unavailable("no broker is connected")
                sent = await self._producer.send(outgoing)
        except (TimeoutError, KafkaError) as error:
            raise Unavailable("the producer's buffer is full") from error
        sent.add_done_callback(partial(self._sent, emit, answer, span))

    def _sent(
        self,
        emit: Emit,
        answer: asyncio.Future[Answer | None],
        span: Span,
        sent: asyncio.Future[Any],
    ) -> None:
        """Publish again after a loss with the producer; a refusal by the broker is Unavailable."""
        span.end()
        error = None if sent.cancelled() else sent.exception()
        if error is None or answer.done():
            return
        if isinstance(error, Rejected):
            answer.set_exception(Unavailable("the broker refuses it"))
            return
        task = asyncio.create_task(self._republish(emit, answer))
        self._republishing.add(task)
        task.add_done_callback(self._republishing.discard)

    async def _republish(self, emit: Emit, answer: asyncio.Future[Answer | None]) -> None:
        """Publish the same command again: confirm handles it once, even if both records arrive."""
        with contextlib.suppress(Unavailable):
            await self._publish(emit, answer)
