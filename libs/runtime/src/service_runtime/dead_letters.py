"""Dead letters: records that a consumer will never handle, whole, with the reason in headers."""

from payment_schemas.cloudevents import Headers
from service_runtime.messages import ProducerRecord
from service_runtime.ports import DeadLetter

SUFFIX = "-dlq"


def _numbered(**values: object) -> Headers:
    return tuple((f"dl_{name}", str(value).encode()) for name, value in values.items())


def outgoing_of(letter: DeadLetter, consumer: str) -> ProducerRecord:
    """Return the record for `<topic>-dlq`: value, key and headers unchanged, the reason added."""
    record = letter.record
    why = _numbered(
        consumer=consumer,
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
        reason=letter.reason,
        error_class=letter.error_class,
        attempts=letter.attempts,
        first_seen=letter.first_seen.isoformat(),
    )
    return ProducerRecord(record.topic + SUFFIX, record.key, record.value, record.headers + why)
