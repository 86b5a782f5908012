"""Publishing dead letters to their topic again: same record, same id, audited."""

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from aiokafka.errors import KafkaError

from ops.clients.dead_letters import DeadLetter
from ops.domain.errors import UnavailableError
from ops.domain.masking import masked_text
from payment_schemas.cloudevents import Attributes, headers_of
from payment_schemas.events.record import AuditRecorded
from payment_schemas.ids import EventId
from service_runtime.clock import Clock
from service_runtime.errors import ServiceError
from service_runtime.messages import ProducerRecord
from service_runtime.producer import KafkaProducer
from service_runtime.tracing import REDRIVEN

ACTION = "DEAD_LETTER_REDRIVEN"
REASON_PREFIX = "dl_"
"""Prefix of the headers that a dead letter adds to the original ones."""
MOST_AT_ONCE = 100
SENT_WITHIN_S = 30.0


@dataclass(frozen=True, slots=True)
class RedriveRequest:
    """The acting person and the maximum rate."""

    actor: str
    per_s: float


def each_once(letters: Sequence[DeadLetter]) -> list[DeadLetter]:
    """Return each record once, in the order of the refusals.

    A record has several dead letters if several consumers refused it or a redrive failed.
    """
    first: dict[tuple[object, ...], DeadLetter] = {}
    for letter in letters:
        same = (letter.topic, letter.event_id or letter.source, letter.key, letter.value)
        first.setdefault(same, letter)
    return list(first.values())


def redrive(
    brokers: str, letters: Sequence[DeadLetter], request: RedriveRequest, clock: Clock
) -> int:
    """Publish the letters; return their number.

    Safe to repeat, also after a failure: a consumer skips the ids that it has handled. Raises
    UnavailableError with the number of acknowledged records.
    """
    redriving = _Redriving(request, clock)
    try:
        asyncio.run(redriving.send(brokers, letters))
    except (KafkaError, ServiceError, TimeoutError) as error:
        raise UnavailableError(
            f"Kafka at {brokers} acknowledged {redriving.sent} of {len(letters)} messages"
            f" ({type(error).__name__}): run it again once Kafka is up",
            "make status",
        ) from None
    return redriving.sent


class _Redriving:
    """One run; `sent` counts acknowledged records."""

    def __init__(self, request: RedriveRequest, clock: Clock) -> None:
        self._request = request
        self._clock = clock
        self.sent = 0

    async def send(self, brokers: str, letters: Sequence[DeadLetter]) -> None:
        async with KafkaProducer(brokers, "ops") as producer:
            for number, some in enumerate(_slices(letters, self._request.per_s)):
                if number:
                    await asyncio.sleep(len(some) / self._request.per_s)
                await self._send_some(producer, some)

    async def _send_some(self, producer: KafkaProducer, letters: Sequence[DeadLetter]) -> None:
        # The audit record first: nothing is redriven without it.
        await _publish(producer, [self._audited(letter) for letter in letters])
        now = self._clock.now().isoformat()
        await _publish(producer, [original_of(letter, now) for letter in letters])
        self.sent += len(letters)

    def _audited(self, letter: DeadLetter) -> ProducerRecord:
        details = {"topic": letter.topic, "event_id": letter.event_id, "source": letter.source}
        details |= {"consumer": letter.consumer, "reason": letter.reason}
        event = AuditRecorded(
            actor=self._request.actor,
            action=ACTION,
            about=letter.place,
            metadata={name: masked_text(value) for name, value in details.items() if value},
        )
        attributes = Attributes(EventId(self._clock.new_id()), self._clock.now())
        return ProducerRecord(
            event.topic,
            event.key.encode(),
            event.model_dump_json().encode(),
            headers_of(event, attributes, "ops"),
        )


def original_of(letter: DeadLetter, redriven_at: str) -> ProducerRecord:
    """Return the original record, with a header with the time of the redrive."""
    headers = tuple(
        (name, value)
        for name, value in letter.headers
        if not name.startswith(REASON_PREFIX) and name != REDRIVEN
    )
    again = (REDRIVEN, redriven_at.encode())
    return ProducerRecord(letter.topic, letter.key, letter.value, (*headers, again))


def _slices(letters: Sequence[DeadLetter], per_s: float) -> Iterator[Sequence[DeadLetter]]:
    size = min(MOST_AT_ONCE, max(1, int(per_s)))
    for start in range(0, len(letters), size):
        yield letters[start : start + size]


async def _publish(producer: KafkaProducer, records: Sequence[ProducerRecord]) -> None:
    """Publish records and wait until the broker has acknowledged all."""
    async with asyncio.timeout(SENT_WITHIN_S):
        futures = [await producer.send(record) for record in records]
        await asyncio.gather(*futures)
