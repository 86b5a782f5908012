"""Which message an event asks for, what it says, and what becomes of it. Pure."""

import re
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Literal, assert_never
from uuid import UUID, uuid5

from payment_schemas.events.confirmation import PaymentConfirmed, PaymentDeclined
from payment_schemas.events.otp import Challenged
from payment_schemas.events.record import Channel, DeliveryTemplate, NotificationDelivered
from payment_schemas.events.settlement import SettlementUpdated
from payment_schemas.ids import DeliveryId, PaymentId
from payment_schemas.money import Money
from payment_schemas.sealed import Personal, Sealed

Outcome = PaymentConfirmed | PaymentDeclined | SettlementUpdated

PATIENCE = timedelta(hours=24)
"""How long an outcome is worth telling; a code only until it expires."""

_CODE = re.compile(r"[A-Za-z0-9_.-]{1,128}")


class Status(StrEnum):
    """Where a delivery stands."""

    QUEUED = "QUEUED"
    DELIVERED = "DELIVERED"
    REFUSED = "REFUSED"
    EXPIRED = "EXPIRED"


class Kind(StrEnum):
    """What an attempt came to."""

    TAKEN = "TAKEN"
    REFUSED = "REFUSED"
    """For what stood in the message, or because there is nobody to send it to."""
    NOT_TAKEN = "NOT_TAKEN"
    """A time-out, a server's error, a limit: perhaps later."""
    TOO_LATE = "TOO_LATE"
    """Not tried, because nobody can use it any more."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """What became of one attempt to deliver."""

    kind: Kind
    reason: str | None = None
    provider_id: str | None = None


@dataclass(frozen=True, slots=True)
class Contact:
    """Where a customer is reached."""

    user_id: str
    phone: Personal
    """E.164."""
    email: Personal


@dataclass(frozen=True, slots=True)
class Message:
    """A message as a provider is given it; the delivery's id lets it drop a repeat."""

    delivery_id: DeliveryId
    to: Personal
    subject: str
    text: Personal


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
    template: DeliveryTemplate
    money: Money
    to_account: str
    expires_at: datetime
    due_at: datetime | None
    """When to try; None where it has ended."""
    sealed_code: Sealed | None = None
    """Only with the template `code`, and only until the delivery has ended."""
    status: Status = Status.QUEUED
    reason: str | None = None
    provider_id: str | None = None
    tries: int = 0


@dataclass(frozen=True, slots=True)
class Decision:
    """The next state, and the event that tells of an end."""

    state: Delivery
    events: tuple[NotificationDelivered, ...] = ()


def delivery_id_of(event_id: UUID, channel: Channel) -> DeliveryId:
    """Return the delivery's id: one for each event and channel."""
    return DeliveryId(uuid5(event_id, channel))


def code_delivery(event: Challenged, event_id: UUID, now: datetime) -> Delivery:
    """Return the text message with a one-time code."""
    draft = _draft(event, event_id, "code", event.code_expires_at, now)
    return replace(draft, sealed_code=event.sealed_code)


def outcome_delivery(event: Outcome, event_id: UUID, now: datetime) -> Delivery | None:
    """Return the mail about an outcome, or None where the event is none for the customer."""
    template = _template_of(event)
    if template is None:
        return None
    return _draft(event, event_id, template, now + PATIENCE, now)


def message_of(delivery: Delivery, contact: Contact, code: Personal | None) -> Message:
    """Return what the customer reads. `code` belongs to the template `code` alone."""
    to = contact.phone if delivery.channel == "sms" else contact.email
    subject, text = _words(delivery, code)
    return Message(delivery.id, to, subject, Personal(text))


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
    template: DeliveryTemplate,
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


def _template_of(event: Outcome) -> DeliveryTemplate | None:
    match event:
        case PaymentConfirmed():
            return "confirmed"
        case PaymentDeclined():
            return "declined"
        case SettlementUpdated(status="REJECTED"):
            return "returned"
        case _:
            return None


def _words(delivery: Delivery, code: Personal | None) -> tuple[str, str]:
    payment = f"{delivery.money} to {delivery.to_account}"
    match delivery.template:
        case "code":
            secret = code.reveal() if code else ""
            return "", f"{secret} is your code for {payment}. Never tell it to anyone."
        case "confirmed":
            return "Payment confirmed", _mail(delivery, f"Your payment of {payment} is confirmed.")
        case "declined":
            return "Payment declined", _mail(delivery, f"Your payment of {payment} was declined.")
        case "returned":
            said = f"Your payment of {payment} could not be settled; the money was returned to you."
            return "Payment returned", _mail(delivery, said)
        case _:  # pragma: no cover - mypy proves that nothing is left
            assert_never(delivery.template)


def _mail(delivery: Delivery, sentence: str) -> str:
    return f"{sentence}\n\nTransaction: {delivery.transaction_id}\n"


_RESULTS: dict[Status, Literal["delivered", "refused", "expired"]] = {
    Status.DELIVERED: "delivered",
    Status.REFUSED: "refused",
    Status.EXPIRED: "expired",
}


def _ended(delivery: Delivery, status: Status, attempt: Attempt) -> Decision:
    """End the delivery. The code goes with it: nobody needs it any more."""
    ended = replace(
        delivery,
        status=status,
        due_at=None,
        sealed_code=None,
        reason=attempt.reason,
        provider_id=attempt.provider_id,
        tries=delivery.tries + (attempt.kind is not Kind.TOO_LATE),
    )
    told = NotificationDelivered(
        payment_id=ended.payment_id,
        user_id=ended.user_id,
        transaction_id=ended.transaction_id,
        delivery_id=ended.id,
        channel=ended.channel,
        template=ended.template,
        result=_RESULTS[status],
        provider_id=ended.provider_id,
    )
    return Decision(ended, (told,))
