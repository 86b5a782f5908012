"""The text of messages and their recipients. Pure."""

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, assert_never
from uuid import UUID, uuid5

from notification.domain.delivery import (
    NOT_STARTED,
    OUTCOME_LIFETIME,
    Delivery,
    delivery_id_of,
)
from payment_schemas.events.record import Channel
from payment_schemas.ids import DeliveryId
from payment_schemas.sealed import Personal

CODES_PAUSE = timedelta(hours=24)
"""How long no code is sent after a contact was changed; the database's trigger has the same."""
_CHANGED = (
    "The phone number or e-mail address of your account was changed. Codes are paused for 24 hours."
    " If it was not you, contact us."
)
_NOT_PLAIN = re.compile(r"[^A-Za-z0-9]+")


ContactTrouble = Literal["erased", "subject_key_lost"]
"""Why a contact cannot be read. A lost key is no erasure: it may come back."""


@dataclass(frozen=True, slots=True)
class Contact:
    """A customer's phone number and e-mail address."""

    user_id: str
    phone: Personal
    """E.164."""
    email: Personal
    is_paused: bool = False
    """Whether it was changed within a day: no codes are sent."""
    trouble: ContactTrouble | None = None
    """Why phone number and address are empty."""


@dataclass(frozen=True, slots=True)
class Message:
    """A message for a provider; the delivery's id identifies duplicates."""

    delivery_id: DeliveryId
    to: Personal
    subject: str
    text: Personal
    is_alone: bool = False
    """Whether no other message may be in its call."""


def can_receive_code(contact: Contact | None) -> bool:
    """Return whether the contact has a phone number to which codes are sent now."""
    return contact is not None and bool(contact.phone.reveal()) and not contact.is_paused


def contact_notices(former: Contact, cause: UUID, now: datetime) -> list[Delivery]:
    """Return the messages to both addresses that a user's contact had."""
    addresses: dict[Channel, Personal] = {"sms": former.phone, "email": former.email}
    return [
        Delivery(
            id=delivery_id_of(uuid5(cause, former.user_id), channel),
            payment_id=None,
            user_id=former.user_id,
            transaction_id=None,
            channel=channel,
            template="contact_changed",
            money=None,
            to_account=None,
            expires_at=now + OUTCOME_LIFETIME,
            due_at=now,
            former_address=address,
        )
        for channel, address in addresses.items()
    ]


def message_of(delivery: Delivery, contact: Contact, code: Personal | None) -> Message:
    """Return the message for the customer. `code` is for the template `code` only."""
    current = contact.phone if delivery.channel == "sms" else contact.email
    to = delivery.former_address or current
    subject, text = _text_of(delivery, code)
    is_alone = delivery.reason == NOT_STARTED
    return Message(delivery.id, to, subject, Personal(text), is_alone)


def letters_and_digits(name: str) -> str:
    """Return a name's letters and digits, so that a phone cannot turn the name into a link."""
    return _NOT_PLAIN.sub("", name)


def _text_of(delivery: Delivery, code: Personal | None) -> tuple[str, str]:
    payment = f"{delivery.money} to {letters_and_digits(delivery.to_account or '')}"
    match delivery.template:
        case "code":
            secret = code.reveal() if code else ""
            return "", f"{secret} is your code for {payment}. Never tell it to anyone."
        case "confirmed":
            return "Payment confirmed", _mail(delivery, f"Your payment of {payment} is confirmed.")
        case "declined":
            return "Payment declined", _mail(delivery, f"Your payment of {payment} was declined.")
        case "returned":
            text = f"Your payment of {payment} could not be settled; the money was returned to you."
            return "Payment returned", _mail(delivery, text)
        case "codes_locked":
            text = f"Codes are locked after too many wrong ones, the last one for {payment}."
            return "Codes locked", _mail(delivery, f"{text} If it was not you, contact us.")
        case "codes_unlocked":
            text = "Codes are unlocked. If you have not asked for it, contact us."
            return "Codes unlocked", _mail(delivery, text)
        case "contact_changed":
            return "Contact changed", _CHANGED
        case _:  # pragma: no cover - mypy proves that nothing is left
            assert_never(delivery.template)


def _mail(delivery: Delivery, sentence: str) -> str:
    return f"{sentence}\n\nTransaction: {delivery.transaction_id}\n"
