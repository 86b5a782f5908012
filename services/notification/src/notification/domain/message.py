"""What a customer reads, and where. Pure."""

import re
from dataclasses import dataclass
from typing import assert_never

from notification.domain.delivery import Delivery
from payment_schemas.ids import DeliveryId
from payment_schemas.sealed import Personal

_NOT_PLAIN = re.compile(r"[^A-Za-z0-9]+")


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


def can_receive_code(contact: Contact | None) -> bool:
    """Say whether a code can be sent: they go by text message."""
    return contact is not None and bool(contact.phone.reveal())


def message_of(delivery: Delivery, contact: Contact, code: Personal | None) -> Message:
    """Return what the customer reads. `code` belongs to the template `code` alone."""
    to = contact.phone if delivery.channel == "sms" else contact.email
    subject, text = _words(delivery, code)
    return Message(delivery.id, to, subject, Personal(text))


def letters_and_digits(name: str) -> str:
    """Return a name by its letters and digits: no phone makes a link of what somebody chose."""
    return _NOT_PLAIN.sub("", name)


def _words(delivery: Delivery, code: Personal | None) -> tuple[str, str]:
    payment = f"{delivery.money} to {letters_and_digits(delivery.to_account)}"
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
        case "codes_locked":
            said = f"Codes are locked after too many wrong ones, the last one for {payment}."
            return "Codes locked", _mail(delivery, f"{said} If it was not you, contact us.")
        case "codes_unlocked":
            said = "Codes are unlocked. If you have not asked for it, contact us."
            return "Codes unlocked", _mail(delivery, said)
        case _:  # pragma: no cover - mypy proves that nothing is left
            assert_never(delivery.template)


def _mail(delivery: Delivery, sentence: str) -> str:
    return f"{sentence}\n\nTransaction: {delivery.transaction_id}\n"
