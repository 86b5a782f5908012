"""One SendGrid call for many mails. Pure.

Each mail is a personalization with its own address, subject and delivery id. The content of the
call is a placeholder, and each personalization replaces it with the mail's text. Nothing else
differs between mails, so that any mails fit into one call.
"""

from collections.abc import Sequence
from itertools import count
from typing import Any

from notification.domain import Message

MOST_MAILS = 100
"""SendGrid takes 1,000 personalizations, less than 10,000 bytes of custom arguments and 30 MB a
call. A mail has 50 bytes of custom arguments, and less than 2 kB in all."""


def calls_of(mails: Sequence[Message]) -> list[Sequence[Message]]:
    """Divide mails into calls.

    SendGrid documents that an address may be in a call only once.
    """
    alone: list[Sequence[Message]] = [[mail] for mail in mails if mail.is_alone]
    calls: list[dict[str, Message]] = []
    for mail in mails:
        address = mail.to.reveal().lower()
        fitting = (one for one in calls if address not in one and len(one) < MOST_MAILS)
        if not mail.is_alone:
            if (call := next(fitting, None)) is None:
                calls.append(call := {})
            call[address] = mail
    return [*alone, *(list(call.values()) for call in calls)]


def body_of(mails: Sequence[Message], sender: str) -> dict[str, Any]:
    """Return the body of the call that sends the mails."""
    placeholder = placeholder_for(
        [text for one in mails for text in (one.subject, one.text.reveal())]
    )
    return {
        "personalizations": [_personalization(mail, placeholder) for mail in mails],
        "from": {"email": sender},
        "content": [{"type": "text/plain", "value": placeholder}],
    }


def placeholder_for(texts: Sequence[str]) -> str:
    """Return a placeholder that occurs in none of the texts.

    A text can contain any characters of a transaction's id. It must not be taken for a placeholder.
    """
    candidates = (f"-text{number}-" for number in count())
    return next(one for one in candidates if not any(one in text for text in texts))


def _personalization(mail: Message, placeholder: str) -> dict[str, Any]:
    return {
        "to": [{"email": mail.to.reveal()}],
        "subject": mail.subject,
        "substitutions": {placeholder: mail.text.reveal()},
        "custom_args": {"delivery_id": str(mail.delivery_id)},
    }
