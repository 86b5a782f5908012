"""Partner banks on Kafka: their profiles and topics. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from partner_messages.messages import Instruction as Message
from partner_messages.messages import instructions_topic, reports_topic
from payment_schemas.ids import EventId, event_id_of
from settlement.domain.instruction import (
    BankResponse,
    Decision,
    Instruction,
    NextStep,
    Policy,
    Status,
    after_answer,
    updated_event,
    with_status,
)

MOST_PUBLICATIONS = 6
"""Of one instruction without a report; then a person must look."""
LONGEST_WAIT_S = 3600.0
"""Between two publications, unless the profile's first wait is longer."""


MessageFormat = Literal["json", "iso20022"]
"""The format of the messages from and to a bank."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KafkaPartner:
    """The profile of a partner bank on Kafka."""

    partner: str
    format: MessageFormat
    partitions: int
    """Number of partitions of each of its topics."""
    account_prefixes: tuple[str, ...]
    """The accounts that the bank holds; they come before PARTNER_ROUTES."""
    answer_within_s: int
    """Seconds within which the bank reports on an instruction; later it counts as unanswered."""
    enquire_after_s: int
    """Seconds without a report after which the instruction is published again."""
    keys: Mapping[str, Any]
    """The bank's public keys, a JSON Web Key Set (RFC 7517)."""
    suspended_at: datetime | None = None
    version: int = 1

    @property
    def is_suspended(self) -> bool:
        """Whether instructions wait here instead of being published."""
        return self.suspended_at is not None

    @property
    def policy(self) -> Policy:
        """The waits between two publications of one instruction."""
        first_s = float(self.enquire_after_s)
        return Policy(first_s=first_s, most_s=max(first_s, LONGEST_WAIT_S))

    @property
    def instructions_topic(self) -> str:
        """The topic that the bank reads."""
        return instructions_topic(self.partner)

    @property
    def reports_topic(self) -> str:
        """The topic that the bank writes."""
        return reports_topic(self.partner)


def prefix_of_another(new: KafkaPartner, others: Iterable[KafkaPartner]) -> str | None:
    """Return a prefix of the new profile that another profile has already, if any."""
    taken = {prefix for other in others for prefix in other.account_prefixes}
    return next((prefix for prefix in new.account_prefixes if prefix in taken), None)


def suspended(profile: KafkaPartner, now: datetime) -> KafkaPartner | str:
    """Return the suspended profile, or why it cannot be suspended."""
    if profile.suspended_at is not None:
        return "the partner is already suspended"
    return replace(profile, suspended_at=now)


def resumed(profile: KafkaPartner) -> KafkaPartner | str:
    """Return the resumed profile, or why it cannot be resumed."""
    if profile.suspended_at is None:
        return "the partner is not suspended"
    return replace(profile, suspended_at=None)


def routes_of(profiles: Iterable[KafkaPartner]) -> dict[str, str]:
    """Return the routes of all profiles: prefix of an account → partner."""
    return {prefix: one.partner for one in profiles for prefix in one.account_prefixes}


def queue(instruction: Instruction) -> Instruction:
    """Return a new instruction as one that is published, not sent."""
    return replace(instruction, next_step=NextStep.PUBLISH)


def publish(instruction: Instruction, now: datetime, policy: Policy) -> Decision:
    """Decide the first publication: SENT, in one commit with the record itself."""
    sent = with_status(
        instruction,
        Status.SENT,
        tries=1,
        next_step=NextStep.PUBLISH,
        sent_at=now,
        unanswered_since=now,
        due_at=policy.after(1, now),
    )
    return Decision(sent, (updated_event(sent),))


def after_silence(instruction: Instruction, now: datetime, policy: Policy) -> Decision:
    """Decide about an instruction without a report: publish it again, or give it to a person.

    Once a person decides, the bank must not find it in its topic again: it is not published.
    """
    if instruction.tries >= MOST_PUBLICATIONS:
        moved = with_status(instruction, Status.RECONCILE, next_step=NextStep.AWAIT, due_at=now)
        return Decision(moved, (updated_event(moved),))
    tries = instruction.tries + 1
    since = instruction.unanswered_since or now
    again = replace(
        instruction, tries=tries, unanswered_since=since, due_at=policy.after(tries, now)
    )
    return Decision(again)


def after_report(
    instruction: Instruction, response: BankResponse, now: datetime, policy: Policy
) -> Decision:
    """Return the next state after a bank's report, by the table of `after_answer`.

    Each report is an answer: the count of publications without one starts again.
    """
    heard = replace(instruction, tries=0, unanswered_since=None)
    decision = after_answer(heard, response, now, policy)
    # What is final stays as it is, whatever is said.
    return replace(decision, state=instruction) if decision.state is heard else decision


def is_published(instruction: Instruction) -> bool:
    """Return whether a bank can know the instruction."""
    return instruction.status is not Status.QUEUED


def may_be_replayed(instruction: Instruction) -> bool:
    """Return whether a bank may book the transfer when it reads the instruction again.

    Not if it is REJECTED, whose money went back, nor while people decide what becomes of it.
    """
    is_by_kafka = instruction.next_step in (NextStep.PUBLISH, NextStep.AWAIT)
    return is_by_kafka and instruction.status in (Status.SENT, Status.SETTLED)


def record_id_of(payment_id: UUID) -> EventId:
    """Return the `ce_id` of the instruction's record: the same whenever it is published."""
    return event_id_of(payment_id, Message.ce_type)
