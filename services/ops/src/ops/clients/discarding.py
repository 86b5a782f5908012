"""Dead letters that two people discard: what they concern, and the audit record of each."""

from typing import Any

from ops.clients.dead_letters import DeadLetter
from ops.domain.concerns import concern_of
from ops.domain.masking import masked, masked_text
from payment_schemas.events.record import AuditRecorded
from service_runtime.messages import Cause, Emit

ACTION = "DEAD_LETTER_DISCARDED"


def summary_of(letter: DeadLetter) -> dict[str, Any]:
    """Return what people read of a letter before they discard it; its data is masked."""
    return {
        "place": letter.place,
        "topic": letter.topic,
        "type": letter.type,
        "event_id": masked_text(letter.event_id) if letter.event_id else "",
        "consumer": letter.consumer,
        "reason": letter.reason,
        "time": letter.time.isoformat(),
        "concerns": concern_of(masked(letter.value)),
    }


def audited(letter: DeadLetter, reason: str, actor: str, cause: Cause) -> Emit:
    """Return the audit record of one discarded letter: why, and what it concerned."""
    found = summary_of(letter)
    concerns = {name: str(value) for name, value in found.pop("concerns").items()}
    plain = {name: masked_text(found[name]) for name in ("topic", "event_id", "consumer")}
    refused = {"refused_for": masked_text(letter.reason), "source": letter.source}
    metadata = {**plain, **refused, **concerns, "why": reason}
    event = AuditRecorded(
        actor=actor,
        action=ACTION,
        about=letter.place,
        metadata={name: value for name, value in metadata.items() if value},
    )
    return Emit(event, Cause(cause.id, cause.trace, discriminator=letter.place))
