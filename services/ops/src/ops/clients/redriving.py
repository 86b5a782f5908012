"""Dead letters that are published to their topic again: same record, same id, audited."""

from collections.abc import Sequence

from ops.clients.dead_letters import DeadLetter
from ops.domain.masking import masked_text
from payment_schemas.events.record import AuditRecorded
from service_runtime.messages import Cause, Emit, ProducerRecord
from service_runtime.tracing import REDRIVEN

ACTION = "DEAD_LETTER_REDRIVEN"
REASON_PREFIX = "dl_"
"""Prefix of the headers that a dead letter adds to the original ones."""
MOST_REDRIVEN = 1000
"""Dead letters of one redrive: they are read into memory and committed together."""


def each_once(letters: Sequence[DeadLetter]) -> list[DeadLetter]:
    """Return each record once, in the order of the refusals.

    A record has several dead letters if several consumers refused it or a redrive failed.
    """
    first: dict[tuple[object, ...], DeadLetter] = {}
    for letter in letters:
        same = (letter.topic, letter.event_id or letter.source, letter.key, letter.value)
        first.setdefault(same, letter)
    return list(first.values())


def audited(letter: DeadLetter, actor: str, cause: Cause) -> Emit:
    """Return the audit record of one redriven letter."""
    details = {"topic": letter.topic, "event_id": letter.event_id, "source": letter.source}
    details |= {"consumer": letter.consumer, "reason": letter.reason}
    metadata = {name: masked_text(value) for name, value in details.items() if value}
    event = AuditRecorded(actor=actor, action=ACTION, about=letter.place, metadata=metadata)
    return Emit(event, Cause(cause.id, cause.trace, discriminator=letter.place))


def original_of(letter: DeadLetter, redriven_at: str) -> ProducerRecord:
    """Return the original record, with a header with the time of the redrive."""
    headers = tuple(
        (name, value)
        for name, value in letter.headers
        if not name.startswith(REASON_PREFIX) and name != REDRIVEN
    )
    again = (REDRIVEN, redriven_at.encode())
    return ProducerRecord(letter.topic, letter.key, letter.value, (*headers, again))
