"""The process' Kafka producer: idempotent, and recreated once the broker has refused it.

An idempotent producer numbers its records in a partition. A refused record leaves a gap, after
which the broker refuses every later record of that producer.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any, Self

from aiokafka import AIOKafkaProducer
from aiokafka.errors import (
    InvalidTimestampError,
    InvalidTopicError,
    KafkaError,
    KafkaTimeoutError,
    MessageSizeTooLargeError,
    PolicyViolationError,
    RecordListTooLargeError,
    TopicAuthorizationFailedError,
    UnknownTopicOrPartitionError,
    UnsupportedForMessageFormatError,
)

from service_runtime import metrics
from service_runtime.brokers import Brokers
from service_runtime.errors import Rejected, Unavailable
from service_runtime.kafka_clients import ended, log_unauthorized, start_within
from service_runtime.logs import Log
from service_runtime.message_macs import MessageMacs
from service_runtime.messages import ProducerRecord
from service_runtime.ports import ProducerBatch
from service_runtime.producer_batches import (
    MAX_REQUEST_BYTES,
    build_batches,
    leader_of,
    partition_of,
)

MAX_BATCH_BYTES = 128 * 1024
REQUEST_TIMEOUT_MS = 5000
STUCK_S = 5.0
"""An older record without an acknowledgement means that the broker accepts nothing."""
BETWEEN_RENEWALS_S = 1.0
BETWEEN_EXPLANATIONS_S = 30.0
REFUSALS = (
    InvalidTimestampError,
    InvalidTopicError,
    MessageSizeTooLargeError,
    PolicyViolationError,
    RecordListTooLargeError,
    TopicAuthorizationFailedError,
    UnsupportedForMessageFormatError,
)
"""Errors about a record, not about its producer: the record was certainly not written."""

_log = Log("producer")
_renewed = metrics.counter("producer_renewed", "Producers made anew after a refusal, by error.")

Send = Callable[[AIOKafkaProducer], Awaitable[asyncio.Future[Any]]]


class KafkaProducer:
    """An idempotent producer with `acks=all`."""

    def __init__(self, brokers: Brokers, client_id: str, macs: MessageMacs | None = None) -> None:
        self._brokers = brokers
        self._macs = macs or MessageMacs()
        self._client_id = client_id
        self._producer: AIOKafkaProducer | None = None
        self._usable = asyncio.Event()
        """Not set while the producer is recreated: senders wait."""
        self._open: dict[asyncio.Future[Any], tuple[AIOKafkaProducer, float]] = {}
        """Records without an acknowledgement, oldest first, and their times."""
        self._acknowledged_s = self._refused_s = self._renewed_s = -STUCK_S
        self._explained_s = -BETWEEN_EXPLANATIONS_S
        self._renewing: asyncio.Task[None] | None = None
        self._retiring: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._producer = await self._started()
        self._usable.set()
        return self

    async def __aexit__(self, *_error: object) -> None:
        tasks = {task for task in (self._renewing, *self._retiring) if task is not None}
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        if self._producer is not None:
            # An idempotent producer waits indefinitely for a lost broker; a stop must not.
            await ended(self._producer.stop())

    async def _started(self) -> AIOKafkaProducer:
        producer = AIOKafkaProducer(
            **self._brokers.arguments,
            client_id=self._client_id,
            enable_idempotence=True,
            acks="all",
            linger_ms=0,
            compression_type="zstd",
            max_request_size=MAX_REQUEST_BYTES,
            max_batch_size=MAX_BATCH_BYTES,
            request_timeout_ms=REQUEST_TIMEOUT_MS,
        )
        try:
            await start_within(producer, self._brokers)
        except BaseException:
            await ended(producer.stop())
            raise
        return producer

    async def send(self, outgoing: ProducerRecord) -> asyncio.Future[Any]:
        """Pass a record to the producer; the future ends when all replicas have it.

        Raises Rejected where the record is larger than MAX_REQUEST_BYTES. The future fails with
        Rejected where the broker certainly did not write it, else with Unavailable: resend it.
        """
        signed = self._macs.signed(outgoing)

        async def send(producer: AIOKafkaProducer) -> asyncio.Future[Any]:
            sent: asyncio.Future[Any] = await producer.send(
                signed.topic,
                value=signed.value,
                key=signed.key,
                headers=list(signed.headers),
                # The producer would hash the key once more, in Python.
                partition=await partition_of(producer, signed),
            )
            return sent

        return await self._publish(send)

    async def build_batches(self, records: Sequence[ProducerRecord]) -> list[ProducerBatch]:
        """Build batches of one partition each."""
        if self._producer is None:
            raise Unavailable("producer is not started")
        signed = [self._macs.signed(record) for record in records]
        return await build_batches(self._producer, self._publish, signed)

    async def takes(self, outgoing: ProducerRecord) -> bool:
        """Return whether the leader of the record's partition can be reached.

        Waits while the producer is recreated; False before the start.
        """
        if self._producer is None:
            return False
        await self._usable.wait()
        leader = await leader_of(self._producer, outgoing)
        return leader is not None and bool(await self._producer.client.ready(leader))

    async def connected(self) -> bool:
        """Return whether records are acknowledged: one was lately, or none has waited for long.

        One partition without acknowledgements does not make the process unready.
        """
        if self._producer is None or not self._usable.is_set():
            return False
        lately_s = time.monotonic() - STUCK_S
        _, oldest_s = next(iter(self._open.values()), (None, lately_s))
        if oldest_s < lately_s:
            return self._acknowledged_s > lately_s
        if self._refused_s > max(lately_s, self._acknowledged_s):
            return False
        return await _any_broker(self._producer.client)

    async def _publish(self, send: Send) -> asyncio.Future[Any]:
        if self._producer is None:
            raise Unavailable("producer is not started")
        await self._usable.wait()
        producer = self._producer
        try:
            sent = await send(producer)
        except MessageSizeTooLargeError:
            raise Rejected("record too large") from None
        except TopicAuthorizationFailedError as error:
            self._log_unauthorized(error)
            raise
        except (KafkaTimeoutError, UnknownTopicOrPartitionError):
            raise
        except KafkaError as error:
            self._renew_soon(producer, error)
            raise
        reported: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._open[reported] = producer, time.monotonic()
        sent.add_done_callback(partial(self._settle, producer, reported))
        return reported

    def _settle(
        self, producer: AIOKafkaProducer, reported: asyncio.Future[Any], sent: asyncio.Future[Any]
    ) -> None:
        """Resolve the sender's future. A refused record leaves a gap."""
        self._open.pop(reported, None)
        error = asyncio.CancelledError() if sent.cancelled() else sent.exception()
        if error is None:
            self._acknowledged_s = time.monotonic()
            if not reported.done():
                reported.set_result(sent.result())
            return
        self._refused_s = time.monotonic()
        if isinstance(error, TopicAuthorizationFailedError):
            self._log_unauthorized(error)
        self._renew_soon(producer, error)
        if not reported.done():
            reported.set_exception(_reported(error))

    def _log_unauthorized(self, error: BaseException) -> None:
        """Say what the broker does not allow; each sender tries again, so not every time."""
        self._refused_s = time.monotonic()
        if self._refused_s - self._explained_s > BETWEEN_EXPLANATIONS_S:
            self._explained_s = self._refused_s
            log_unauthorized(self._brokers, "WRITE", error)

    def _renew_soon(self, producer: AIOKafkaProducer, error: BaseException) -> None:
        if producer is self._producer and self._usable.is_set():
            error_class = type(error).__qualname__
            self._usable.clear()
            _renewed.add(1, {"error_class": error_class})
            _log.warning("producer_renewed", error_class=error_class)
            self._renewing = asyncio.create_task(self._renew(producer))

    async def _renew(self, old: AIOKafkaProducer) -> None:
        await asyncio.sleep(self._renewed_s + BETWEEN_RENEWALS_S - time.monotonic())
        while True:
            try:
                self._producer = await self._started()
                break
            except Exception as error:  # noqa: BLE001 - whatever it is, who sends waits for us
                _log.warning("broker_awaited", error_class=type(error).__qualname__)
                await asyncio.sleep(BETWEEN_RENEWALS_S)
        self._renewed_s = time.monotonic()
        self._usable.set()
        retiring = asyncio.create_task(self._retire(old))
        self._retiring.add(retiring)
        retiring.add_done_callback(self._retiring.discard)

    async def _retire(self, old: AIOKafkaProducer) -> None:
        """Stop a producer; its senders resend what it has not delivered."""
        await ended(old.stop())
        # A cancelled stop leaves the sender task running, which could deliver at any time.
        await ended(old._sender.close())  # noqa: SLF001 - there is no other way to end it
        for reported, (producer, _) in list(self._open.items()):
            if producer is old:
                del self._open[reported]
                if not reported.done():
                    reported.set_exception(Unavailable("the producer was given up"))


def _reported(error: BaseException) -> Exception:
    name = type(error).__qualname__
    return Rejected(name) if isinstance(error, REFUSALS) else Unavailable(name)


async def _any_broker(client: Any) -> bool:
    """Return whether any broker can be reached; one of several may be down."""
    asked = [asyncio.create_task(client.ready(one.nodeId)) for one in client.cluster.brokers()]
    try:
        for answer in asyncio.as_completed(asked):
            if await answer:
                return True
    finally:
        for task in asked:
            task.cancel()
    return False
