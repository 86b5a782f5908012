"""Sending dead letters once more to where they were refused: same record, same id, audited."""

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from aiokafka.errors import KafkaError

from ops.clients.dead_letters import DeadLetter
from ops.domain.errors import NotAskedError
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
WHY = "dl_"
"""How the names of the headers begin that a dead letter has beyond the record's own."""
MOST_AT_ONCE = 100
SENT_WITHIN_S = 30.0


@dataclass(frozen=True, slots=True)
class RedriveRequest:
    """Who redrives, and how fast at most."""

    actor: str
    per_s: float


def each_once(letters: Sequence[DeadLetter]) -> list[DeadLetter]:
    """Return each record once, in the order in which they were refused.

    Several consumers refuse one record, and one that was redriven in vain lies there twice.
    """
    first: dict[tuple[object, ...], DeadLetter] = {}
    for letter in letters:
        same = (letter.topic, letter.event_id or letter.source, letter.key, letter.value)
        first.setdefault(same, letter)
    return list(first.values())


def redrive(
    brokers: str, letters: Sequence[DeadLetter], order: RedriveRequest, clock: Clock
) -> int:
    """Send the letters; return how many went out.

    Safe to run twice, after a failure too: ids are kept, so a consumer that has handled a record
    passes over it. Raises NotAskedError where Kafka does not take them, saying how many it took.
    """
    redriving = _Redriving(order, clock)
    try:
        asyncio.run(redriving.send(brokers, letters))
    except (KafkaError, ServiceError, TimeoutError) as error:
        raise NotAskedError(
            f"Kafka at {brokers} took {redriving.sent} of {len(letters)} messages"
            f" ({type(error).__name__}): run it again once Kafka is up",
            "make status",
        ) from None
    return redriving.sent


class _Redriving:
    """One run; `sent` counts what the broker has."""

    def __init__(self, order: RedriveRequest, clock: Clock) -> None:
        self._order = order
        self._clock = clock
        self.sent = 0

    async def send(self, brokers: str, letters: Sequence[DeadLetter]) -> None:
        async with KafkaProducer(brokers, "ops") as producer:
            for number, some in enumerate(_slices(letters, self._order.per_s)):
                if number:
                    await asyncio.sleep(len(some) / self._order.per_s)
                await self._send_some(producer, some)

    async def _send_some(self, producer: KafkaProducer, letters: Sequence[DeadLetter]) -> None:
        # First who did it: nothing is sent of which the audit log would never hear.
        await _taken(producer, [self._audited(letter) for letter in letters])
        now = self._clock.now().isoformat()
        await _taken(producer, [original_of(letter, now) for letter in letters])
        self.sent += len(letters)

    def _audited(self, letter: DeadLetter) -> ProducerRecord:
        told = {"topic": letter.topic, "event_id": letter.event_id, "source": letter.source}
        told |= {"consumer": letter.consumer, "reason": letter.reason}
        event = AuditRecorded(
            actor=self._order.actor,
            action=ACTION,
            about=letter.place,
            metadata={name: masked_text(value) for name, value in told.items() if value},
        )
        attributes = Attributes(EventId(self._clock.new_id()), self._clock.now())
        return ProducerRecord(
            event.topic,
            event.key.encode(),
            event.model_dump_json().encode(),
            headers_of(event, attributes, "ops"),
        )


def original_of(letter: DeadLetter, redriven_at: str) -> ProducerRecord:
    """Return the record as it was, with a header that says when it was sent again."""
    headers = tuple(
        (name, value)
        for name, value in letter.headers
        if not name.startswith(WHY) and name != REDRIVEN
    )
    again = (REDRIVEN, redriven_at.encode())
    return ProducerRecord(letter.topic, letter.key, letter.value, (*headers, again))


def _slices(letters: Sequence[DeadLetter], per_s: float) -> Iterator[Sequence[DeadLetter]]:
    size = min(MOST_AT_ONCE, max(1, int(per_s)))
    for start in range(0, len(letters), size):
        yield letters[start : start + size]


async def _taken(producer: KafkaProducer, records: Sequence[ProducerRecord]) -> None:
    """Hand records to the broker, and wait until it has them all."""
    async with asyncio.timeout(SENT_WITHIN_S):
        futures = [await producer.send(record) for record in records]
        await asyncio.gather(*futures)
