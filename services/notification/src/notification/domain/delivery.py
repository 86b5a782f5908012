"""Which message an event asks for, and what becomes of it. Pure."""

import re
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Literal, assert_never
from uuid import UUID, uuid5

from payment_schemas.events.confirmation import PaymentConfirmed, PaymentDeclined
from payment_schemas.events.otp import Challenged, CodesLockChanged
from payment_schemas.events.record import (
    AuditRecorded,
    Channel,
    DeliveryTemplate,
    NotificationDelivered,
)
from payment_schemas.events.settlement import SettlementUpdated
from payment_schemas.ids import ChallengeId, DeliveryId, PaymentId
from payment_schemas.money import Money
from payment_schemas.sealed import Sealed

Outcome = PaymentConfirmed | PaymentDeclined | SettlementUpdated | CodesLockChanged
Notice = Literal["codes_locked", "codes_unlocked"]
"""What a user is told that is no step of a payment; the released event knows no such template."""
Template = DeliveryTemplate | Notice
SERVICE = "notification"

PATIENCE = timedelta(hours=24)
"""How long an outcome is worth telling; a code only until it expires."""

_CODE = re.compile(r"[A-Za-z0-9_.-]{1,128}")


class Status(StrEnum):
    """Where a delivery stands."""

    QUEUED = "QUEUED"
    DELIVERED = "DELIVERED"
    REFUSED = "REFUSED"
    EXPIRED = "EXPIRED"
    OBSOLETE = "OBSOLETE"
    """Dropped: the code that it holds is used, superseded or locked."""


class Kind(StrEnum):
    """What an attempt came to."""

    TAKEN = "TAKEN"
    REFUSED = "REFUSED"
    """For what stood in the message, or because there is nobody to send it to."""
    NOT_TAKEN = "NOT_TAKEN"
    """A time-out, a server's error, a limit: perhaps later."""
    TOO_LATE = "TOO_LATE"
    """Not tried, because nobody can use it any more."""
    OBSOLETE = "OBSOLETE"
    """Not tried, because what it tells does not hold any more."""
    NOT_YET = "NOT_YET"
    """Not tried, because an earlier message of its payment goes first."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """What became of one attempt to deliver."""

    kind: Kind
    reason: str | None = None
    provider_id: str | None = None
    again_at: datetime | None = None
    """When to look again; with NOT_YET only."""


@dataclass(frozen=True, slots=True)
class Policy:
    """How long to wait before a provider is tried again, in seconds: doubling, bounded."""

    first_s: float = 1.0
    most_s: float = 300.0

    def after(self, tries: int, now: datetime) -> datetime:
        """Return when to try again after so many tries (1, 2, …)."""
        return now + timedelta(seconds=min(self.most_s, self.first_s * 2.0 ** min(tries - 1, 30)))


@dataclass(frozen=True, slots=True)
class Delivery:
    """One message to one customer on one channel."""

    id: DeliveryId
    payment_id: PaymentId
    user_id: str
    transaction_id: str
    channel: Channel
    template: Template
    money: Money
    to_account: str
    expires_at: datetime
    due_at: datetime | None
    """When to try; None where it has ended."""
    sealed_code: Sealed | None = None
    """Only with the template `code`, and only until the delivery has ended."""
    challenge_id: ChallengeId | None = None
    """Whose code it is; only with the template `code`."""
    challenge_number: int = 0
    status: Status = Status.QUEUED
    reason: str | None = None
    provider_id: str | None = None
    tries: int = 0


@dataclass(frozen=True, slots=True)
class Decision:
    """The next state, and the event that tells of an end."""

    state: Delivery
    events: tuple[NotificationDelivered | AuditRecorded, ...] = ()


def delivery_id_of(event_id: UUID, channel: Channel) -> DeliveryId:
    """Return the delivery's id: one for each event and channel."""
    return DeliveryId(uuid5(event_id, channel))


def code_delivery(event: Challenged, event_id: UUID, now: datetime) -> Delivery:
    """Return the text message with a one-time code."""
    draft = _draft(event, event_id, "code", event.code_expires_at, now)
    return replace(
        draft,
        sealed_code=event.sealed_code,
        challenge_id=event.challenge_id,
        challenge_number=event.challenge_number,
    )


def outcome_delivery(event: Outcome, event_id: UUID, now: datetime) -> Delivery | None:
    """Return the mail about an outcome, or None where the event is none for the customer."""
    template = _template_of(event)
    if template is None:
        return None
    return _draft(event, event_id, template, now + PATIENCE, now)


def is_over(delivery: Delivery, now: datetime) -> bool:
    """Say whether nobody could use the message any more."""
    return now >= delivery.expires_at


def after_attempt(delivery: Delivery, attempt: Attempt, now: datetime, policy: Policy) -> Decision:
    """Decide what an attempt makes of a delivery that has not ended."""
    match attempt.kind:
        case Kind.TAKEN:
            return _ended(delivery, Status.DELIVERED, attempt)
        case Kind.REFUSED:
            return _ended(delivery, Status.REFUSED, attempt)
        case Kind.TOO_LATE:
            return _ended(delivery, Status.EXPIRED, attempt)
        case Kind.OBSOLETE:
            return _ended(delivery, Status.OBSOLETE, attempt)
        case Kind.NOT_YET:
            again_at = min(attempt.again_at or now, delivery.expires_at)
            return Decision(replace(delivery, due_at=again_at, reason=attempt.reason))
        case Kind.NOT_TAKEN:
            tries = delivery.tries + 1
            due_at = min(policy.after(tries, now), delivery.expires_at)
            return Decision(replace(delivery, tries=tries, due_at=due_at, reason=attempt.reason))
        case _:  # pragma: no cover - mypy proves that nothing is left
            assert_never(attempt.kind)


def provider_code(text: object) -> str | None:
    """Return a provider's id, or None where it is not one: prose goes no further."""
    return text if isinstance(text, str) and _CODE.fullmatch(text) else None


def _draft(
    event: Challenged | Outcome,
    event_id: UUID,
    template: Template,
    expires_at: datetime,
    now: datetime,
) -> Delivery:
    channel: Channel = "sms" if template == "code" else "email"
    return Delivery(
        id=delivery_id_of(event_id, channel),
        payment_id=event.payment_id,
        user_id=event.user_id,
        transaction_id=event.transaction_id,
        channel=channel,
        template=template,
        money=Money(event.amount_minor, event.currency),
        to_account=event.to_account,
        expires_at=expires_at,
        due_at=now,
    )


def _template_of(event: Outcome) -> Template | None:
    match event:
        case PaymentConfirmed():
            return "confirmed"
        case PaymentDeclined():
            return "declined"
        case SettlementUpdated(status="REJECTED"):
            return "returned"
        case CodesLockChanged():
            return "codes_locked" if event.is_locked else "codes_unlocked"
        case _:
            return None


_RESULTS: dict[Status, Literal["delivered", "refused", "expired"]] = {
    Status.DELIVERED: "delivered",
    Status.REFUSED: "refused",
    Status.EXPIRED: "expired",
    Status.OBSOLETE: "expired",
}
_TRIED = frozenset({Kind.TAKEN, Kind.REFUSED})


def _ended(delivery: Delivery, status: Status, attempt: Attempt) -> Decision:
    """End the delivery. The code goes with it: nobody needs it any more."""
    ended = replace(
        delivery,
        status=status,
        due_at=None,
        sealed_code=None,
        reason=attempt.reason,
        provider_id=attempt.provider_id,
        tries=delivery.tries + (attempt.kind in _TRIED),
    )
    return Decision(ended, (_told(ended),))


def _told(ended: Delivery) -> NotificationDelivered | AuditRecorded:
    match ended.template:
        case "codes_locked" | "codes_unlocked":
            return _noticed(ended)
        case template:
            return _delivered(ended, template)


def _delivered(ended: Delivery, template: DeliveryTemplate) -> NotificationDelivered:
    return NotificationDelivered(
        payment_id=ended.payment_id,
        user_id=ended.user_id,
        transaction_id=ended.transaction_id,
        delivery_id=ended.id,
        channel=ended.channel,
        template=template,
        result=_RESULTS[ended.status],
        provider_id=ended.provider_id,
        obsolete=ended.status is Status.OBSOLETE,
    )


def _noticed(ended: Delivery) -> AuditRecorded:
    told = {"template": ended.template, "channel": ended.channel, "delivery_id": ended.id}
    return AuditRecorded(
        actor=SERVICE,
        action=f"NOTICE_{ended.status}",
        about=ended.user_id,
        metadata={name: str(value) for name, value in told.items()},
    )
