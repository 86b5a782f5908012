"""The delivery of an event and its states. Pure."""

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
from payment_schemas.sealed import Personal, Sealed

Outcome = PaymentConfirmed | PaymentDeclined | SettlementUpdated | CodesLockChanged
Notice = Literal["codes_locked", "codes_unlocked", "contact_changed"]
"""Templates that belong to no payment step; `notification.delivered.v1` does not have them."""
Template = DeliveryTemplate | Notice
SERVICE = "notification"

OUTCOME_LIFETIME = timedelta(hours=24)
"""How long an outcome is retried; a code is retried until it expires."""

_CODE = re.compile(r"[A-Za-z0-9_.-]{1,128}")

NOT_STARTED = "call_not_started"
"""The reason of a message whose call was refused and whose half was not sent in time. It is sent
alone next, so that a message that causes refusals cannot delay the others again and again."""


class Status(StrEnum):
    """The state of a delivery."""

    QUEUED = "QUEUED"
    DELIVERED = "DELIVERED"
    REFUSED = "REFUSED"
    EXPIRED = "EXPIRED"
    OBSOLETE = "OBSOLETE"
    """Dropped: the code's challenge is used, superseded or locked."""


class Kind(StrEnum):
    """The result of an attempt."""

    TAKEN = "TAKEN"
    REFUSED = "REFUSED"
    """Final: because of the message's content, or because the user has no contact."""
    NOT_TAKEN = "NOT_TAKEN"
    """Retried: a timeout, a server error or a rate limit."""
    TOO_LATE = "TOO_LATE"
    """Not sent: the message has expired."""
    OBSOLETE = "OBSOLETE"
    """Not sent: a later message or the end of the challenge replaces it."""
    NOT_YET = "NOT_YET"
    """Not sent yet: an earlier message of the payment must end first."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """The result of one attempt, with the reason of a failure."""

    kind: Kind
    reason: str | None = None
    provider_id: str | None = None
    retry_at: datetime | None = None
    """When to try again; with NOT_YET only."""


@dataclass(frozen=True, slots=True)
class Policy:
    """Waits between attempts in seconds: they double up to a limit."""

    first_s: float = 1.0
    most_s: float = 300.0

    def after(self, tries: int, now: datetime) -> datetime:
        """Return the time of the next attempt after this number of tries (1, 2, …)."""
        return now + timedelta(seconds=min(self.most_s, self.first_s * 2.0 ** min(tries - 1, 30)))


@dataclass(frozen=True, slots=True)
class Delivery:
    """One message to one customer on one channel."""

    id: DeliveryId
    payment_id: PaymentId | None
    """None for a notice about a contact, and so are the payment's other fields."""
    user_id: str
    transaction_id: str | None
    channel: Channel
    template: Template
    money: Money | None
    to_account: str | None
    expires_at: datetime
    due_at: datetime | None
    """Time of the next attempt; None after the end."""
    sealed_code: Sealed | None = None
    """Only with the template `code`, and only until the delivery has ended."""
    challenge_id: ChallengeId | None = None
    """The challenge of the code; only with the template `code`."""
    challenge_number: int = 0
    former_address: Personal | None = None
    """Where a notice about a changed contact goes, until it has ended."""
    former_sealed: bytes | None = None
    """The same, sealed under the key of the person, as it is stored."""
    status: Status = Status.QUEUED
    reason: str | None = None
    provider_id: str | None = None
    tries: int = 0


@dataclass(frozen=True, slots=True)
class Decision:
    """The next state, and the event about an end."""

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
    """Return the e-mail about an outcome, or None where the customer gets no message."""
    template = _template_of(event)
    if template is None:
        return None
    return _draft(event, event_id, template, now + OUTCOME_LIFETIME, now)


def is_over(delivery: Delivery, now: datetime) -> bool:
    """Return whether the message has expired."""
    return now >= delivery.expires_at


def after_attempt(delivery: Delivery, attempt: Attempt, now: datetime, policy: Policy) -> Decision:
    """Return the next state of a queued delivery after an attempt."""
    match attempt.kind:
        case Kind.TAKEN:
            return _end(delivery, Status.DELIVERED, attempt)
        case Kind.REFUSED:
            return _end(delivery, Status.REFUSED, attempt)
        case Kind.TOO_LATE:
            return _end(delivery, Status.EXPIRED, attempt)
        case Kind.OBSOLETE:
            return _end(delivery, Status.OBSOLETE, attempt)
        case Kind.NOT_YET:
            retry_at = min(attempt.retry_at or now, delivery.expires_at)
            return Decision(replace(delivery, due_at=retry_at, reason=attempt.reason))
        case Kind.NOT_TAKEN:
            tries = delivery.tries + 1
            due_at = min(policy.after(tries, now), delivery.expires_at)
            return Decision(replace(delivery, tries=tries, due_at=due_at, reason=attempt.reason))
        case _:  # pragma: no cover - mypy proves that nothing is left
            assert_never(attempt.kind)


def provider_code(text: object) -> str | None:
    """Return a provider's id or code, or None for any other text, which could be personal."""
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


def _end(delivery: Delivery, status: Status, attempt: Attempt) -> Decision:
    """End the delivery and remove its code."""
    ended = replace(
        delivery,
        status=status,
        due_at=None,
        sealed_code=None,
        former_address=None,
        former_sealed=None,
        reason=attempt.reason,
        provider_id=attempt.provider_id,
        tries=delivery.tries + (attempt.kind in _TRIED),
    )
    return Decision(ended, (_end_event(ended),))


def _end_event(ended: Delivery) -> NotificationDelivered | AuditRecorded:
    match ended.template:
        case "codes_locked" | "codes_unlocked" | "contact_changed":
            return _notice_event(ended)
        case template:
            return _delivery_event(ended, template)


def _delivery_event(ended: Delivery, template: DeliveryTemplate) -> NotificationDelivered:
    assert ended.payment_id is not None  # noqa: S101 - only notices belong to no payment
    assert ended.transaction_id is not None  # noqa: S101
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


def _notice_event(ended: Delivery) -> AuditRecorded:
    details = {"template": ended.template, "channel": ended.channel, "delivery_id": ended.id}
    return AuditRecorded(
        actor=SERVICE,
        action=f"NOTICE_{ended.status}",
        about=ended.user_id,
        metadata={name: str(value) for name, value in details.items()},
    )
