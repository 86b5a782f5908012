"""Instructions to partner banks on Kafka: signed, published once, again, or after a suspension."""

from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache

from partner_messages.errors import Malformed
from partner_messages.formats import Format, format_of
from partner_messages.keys import SigningKey
from partner_messages.messages import Instruction as Message
from partner_messages.messages import Party
from partner_messages.records import Attributes, signed_headers
from service_runtime.keys import Key, KeyRing
from service_runtime.logs import Log
from service_runtime.messages import Batch, Cause, Due, Events, ProducerRecord, Publication, Trace
from settlement.domain import BankResponse, Decision, Instruction, Kind, Status, conclude
from settlement.domain.partners import (
    KafkaPartner,
    MessageFormat,
    after_silence,
    publish,
    queue,
    record_id_of,
)
from settlement.handlers.steps import Steps
from settlement.store import Instructions

OUR_AGENT = "countersign"
"""Who holds the debtors' accounts, as banks know us."""
SOURCE = "/countersign/settlement"
NOT_EXPRESSIBLE = "not_expressible"
"""The reason of a transfer that the bank's format cannot express: it was never published."""
SILENCE = BankResponse(Kind.NO_ANSWER)

_log = Log("settlement")


@dataclass(frozen=True, slots=True)
class Step:
    """The step of one instruction, and the record that is committed with it."""

    decision: Decision
    cause: Cause
    records: tuple[Publication, ...] = ()


@dataclass(frozen=True, slots=True)
class Outlet:
    """Makes the signed records of instructions."""

    keys: KeyRing

    def first(
        self, queued: Instruction, profile: KafkaPartner, cause: Cause, now: datetime
    ) -> Step:
        """Publish a new or queued instruction for the first time.

        What the bank's format cannot express was never published: it is REJECTED.
        """
        decision = publish(queued, now, profile.policy)
        try:
            return Step(decision, cause, (self.record_of(decision.state, profile, cause.trace),))
        except Malformed as error:
            _log.error("not_expressible", uetr=queued.uetr, reason=error.field)
            return Step(
                conclude(queue(queued), BankResponse(Kind.REJECTED, NOT_EXPRESSIBLE)), cause
            )

    def again(self, sent: Instruction, profile: KafkaPartner, cause: Cause, now: datetime) -> Step:
        """Publish an unanswered instruction again, or give it to a person."""
        decision = after_silence(sent, now, profile.policy)
        if decision.state.status is not sent.status:
            return Step(decision, cause)
        return Step(decision, cause, (self.record_of(sent, profile, cause.trace),))

    def next(self, due: Due[Instruction], profile: KafkaPartner, now: datetime) -> Step:
        """Publish a due instruction, for the first time or again; not while it is suspended."""
        row = due.row
        if profile.is_suspended:
            # It is due as before, once the partner is resumed.
            return Step(Decision(row), due.cause)
        if row.status is Status.QUEUED:
            return self.first(row, profile, due.cause, now)
        return self.again(row, profile, due.cause, now)

    def record_of(
        self, instruction: Instruction, profile: KafkaPartner, trace: Trace
    ) -> Publication:
        """Return the record of a published instruction: the same one whenever it is made.

        Only the trace can differ and, after a rotation of our keys, the signature.
        """
        message, form = _message(instruction), _format(profile.format)
        value = form.encode_instruction(message)
        event_id, time = record_id_of(instruction.payment_id), message.requested_at
        attributes = Attributes(event_id, message.ce_type, SOURCE, time, trace)
        topic = profile.instructions_topic
        key = _signing_key(self.keys.current)
        headers = signed_headers(topic, value, attributes, form.content_type, key)
        return Publication(ProducerRecord(topic, str(instruction.uetr).encode(), value, headers))


async def on_due_publications(
    batch: Batch[Due[Instruction]], instructions: Instructions, outlet: Outlet
) -> Events:
    """Publish what waited for a partner that is no longer suspended, and what is unanswered."""
    profiles = await instructions.partners.hold({item.row.partner for item in batch})
    begun = [(item, outlet.next(item, profiles[item.row.partner], batch.now)) for item in batch]
    epochs = {item.cause.id: item.epoch for item in batch}
    saved = await instructions.save([step.decision.state for _, step in begun], epochs)
    steps = Steps(batch.now)
    for item, step in begun:
        if item.cause.id in saved:
            steps.answer(item.row, step.decision, SILENCE, step.cause)
            steps.events += step.records
    return await steps.finish(instructions)


def _message(instruction: Instruction) -> Message:
    money, sent_at = instruction.money, instruction.sent_at
    assert sent_at is not None  # noqa: S101 - set by `publish`
    return Message(
        uetr=instruction.uetr,
        end_to_end_id=instruction.transaction_id,
        amount=money.major(),
        currency=money.currency,
        debtor=Party(account=instruction.debtor_account, agent=OUR_AGENT),
        creditor=Party(account=instruction.creditor_account, agent=instruction.partner),
        requested_at=sent_at,
    )


@lru_cache(maxsize=8)
def _signing_key(key: Key) -> SigningKey:
    """Return a ring's key as an Ed25519 key: its 32 bytes are the seed (RFC 8032)."""
    return SigningKey.of_seed(key.id, key.material)


@lru_cache(maxsize=2)
def _format(name: MessageFormat) -> Format:
    return format_of(name)
