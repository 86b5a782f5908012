"""Asks confirm through Kafka and waits for its answer on the gateway's own partition."""

import asyncio
import contextlib
from datetime import timedelta
from functools import partial
from typing import Any, Protocol, Self
from uuid import UUID

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError
from opentelemetry.trace import Span

from payment_schemas.answers import Answer
from payment_schemas.cloudevents import MalformedRecordError, read_event
from payment_schemas.events.confirmation import ConfirmAnswered, ConfirmRequested
from service_runtime import tracing
from service_runtime.clock import Clock
from service_runtime.errors import Rejected, Unavailable
from service_runtime.kafka import START_WITHIN_S, STOP_WITHIN_S, start_within
from service_runtime.logs import Log
from service_runtime.messages import Cause, Emit, Trace
from service_runtime.producer import KafkaProducer
from service_runtime.serving import LAST_REQUESTS_S

PARTITIONS = 32
HAND_OVER_WITHIN_S = 1.0
POLL_MS = 200
LAST_ANSWERS_WITHIN_S = 2.5
"""Of a stopping gateway; the server cuts off, with a 500, whatever is not answered in 4 s."""

_log = Log("answers")


class Confirmation(Protocol):
    """Confirm, as the gateway sees it."""

    @property
    def is_full(self) -> bool:
        """Whether so many wait for answers that `ask` would refuse."""
        ...

    async def ask(self, command: ConfirmRequested, trace: Trace, within_s: float) -> Answer | None:
        """Return confirm's answer, or None where it did not come in time.

        Raises Unavailable where it is certain that nothing was sent.
        """
        ...


class Answers:
    """Reads the answers of one partition and hands each to whoever waits for it."""

    def __init__(self, bootstrap_servers: str, instance: int) -> None:
        self.partition = instance % PARTITIONS
        self._bootstrap_servers = bootstrap_servers
        self._waiting: dict[UUID, asyncio.Future[Answer | None]] = {}
        self._consumer: AIOKafkaConsumer | None = None
        self._over = False

    async def __aenter__(self) -> Self:
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self._bootstrap_servers,
            enable_auto_commit=False,
            auto_offset_reset="latest",
            fetch_max_wait_ms=POLL_MS,
        )
        partition = TopicPartition(ConfirmAnswered.topic, self.partition)
        await start_within(consumer)
        consumer.assign([partition])
        # Ready only when the end is known: an answer before it would be missed.
        async with asyncio.timeout(START_WITHIN_S):
            await consumer.seek_to_end(partition)
            await consumer.position(partition)
        self._consumer = consumer
        return self

    async def __aexit__(self, *_error: object) -> None:
        if self._consumer is not None:
            with contextlib.suppress(TimeoutError, KafkaError):
                async with asyncio.timeout(STOP_WITHIN_S):
                    await self._consumer.stop()

    async def ready(self) -> bool:
        """Say whether the end of the partition has been resolved."""
        return self._consumer is not None

    @property
    def waiting(self) -> int:
        """Requests that wait now."""
        return len(self._waiting)

    def expect(self, request_id: UUID) -> asyncio.Future[Answer | None]:
        """Return the future of an answer, None where we stop first; `forget` it in any case."""
        future: asyncio.Future[Answer | None] = asyncio.get_running_loop().create_future()
        self._waiting[request_id] = future
        if self._over:
            _send_away(future)
        return future

    def forget(self, request_id: UUID) -> None:
        """Wait for it no longer."""
        self._waiting.pop(request_id, None)

    async def run(self, stopping: asyncio.Event) -> None:
        """Hand out answers; once told to stop, send away whoever waits for long."""
        if self._consumer is None:
            raise Unavailable("answers are not started")
        while not stopping.is_set():
            await self._read(self._consumer)
        last_request_s = asyncio.get_running_loop().time() + LAST_REQUESTS_S
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LAST_ANSWERS_WITHIN_S):
                while self._waiting or asyncio.get_running_loop().time() < last_request_s:
                    await self._read(self._consumer)
        self._over = True
        for future in self._waiting.values():
            _send_away(future)

    async def _read(self, consumer: AIOKafkaConsumer) -> None:
        found = await consumer.getmany(timeout_ms=POLL_MS)
        for records in found.values():
            for record in records:
                self._hand_out(record.value)

    def _hand_out(self, value: bytes | None) -> None:
        try:
            event = read_event(ConfirmAnswered.ce_type, ConfirmAnswered.topic, value)
        except MalformedRecordError as error:
            _log.warning("answer_left_out", reason=error.reason)
            return
        # Another gateway on this partition waits for what is unknown here.
        if isinstance(event, ConfirmAnswered):
            future = self._waiting.get(event.request_id)
            if future is not None and not future.done():
                future.set_result(Answer(event.status, event.body, event.headers))


def _send_away(future: asyncio.Future[Answer | None]) -> None:
    if not future.done():
        future.set_result(None)


class KafkaConfirmation:
    """Sends commands, waits for answers."""

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
        self._repeating: set[asyncio.Task[None]] = set()

    @property
    def is_full(self) -> bool:
        return self._answers.waiting >= self._most_waiting

    async def ask(self, command: ConfirmRequested, trace: Trace, within_s: float) -> Answer | None:
        """Return confirm's answer, or None where it did not come in time.

        Raises Unavailable where it is certain that nothing was sent.
        """
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
        """Give the command to the producer. Past it, it may be delivered, whatever happens."""
        outgoing, span = tracing.sending(emit.outgoing("gateway", self._clock.now()))
        try:
            async with asyncio.timeout(HAND_OVER_WITHIN_S):
                if not await self._producer.takes(outgoing):
                    raise Unavailable("no broker takes it now")
                sent = await self._producer.send(outgoing)
        except (TimeoutError, KafkaError) as error:
            raise Unavailable("the broker takes nothing now") from error
        sent.add_done_callback(partial(self._sent, emit, answer, span))

    def _sent(
        self,
        emit: Emit,
        answer: asyncio.Future[Answer | None],
        span: Span,
        sent: asyncio.Future[Any],
    ) -> None:
        """Send again what was lost with its producer; what the broker refuses was not taken."""
        span.end()
        error = None if sent.cancelled() else sent.exception()
        if error is None or answer.done():
            return
        if isinstance(error, Rejected):
            answer.set_exception(Unavailable("the broker refuses it"))
            return
        again = asyncio.create_task(self._again(emit, answer))
        self._repeating.add(again)
        again.add_done_callback(self._repeating.discard)

    async def _again(self, emit: Emit, answer: asyncio.Future[Answer | None]) -> None:
        """Hand the same command over once more: confirm does it once, whatever arrived."""
        with contextlib.suppress(Unavailable):
            await self._publish(emit, answer)
