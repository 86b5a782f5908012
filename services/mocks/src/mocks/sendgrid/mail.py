"""SendGrid's requests and refusals. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from mocks.bodies import Refused, fault_of

MAX_RECIPIENTS = 100
Address = Annotated[str, StringConstraints(pattern=r"^[^@\s]+@[^@\s]+$", max_length=320)]
Arguments = dict[str, str]


class _Part(BaseModel):
    """A part of a mail; other fields of SendGrid are ignored."""

    model_config = ConfigDict(extra="ignore", frozen=True, strict=True)


class Recipient(_Part):
    """One address."""

    email: Address


class Personalization(_Part):
    """Recipients of the mail, with their own subject and arguments."""

    to: Annotated[list[Recipient], Field(min_length=1, max_length=MAX_RECIPIENTS)]
    subject: str | None = None
    custom_args: Arguments | None = None


class Content(_Part):
    """The text in one media type."""

    type: str
    value: Annotated[str, StringConstraints(min_length=1)]


class SendRequest(_Part):
    """The body of `POST /v3/mail/send`."""

    personalizations: Annotated[
        list[Personalization], Field(min_length=1, max_length=MAX_RECIPIENTS)
    ]
    sender: Recipient = Field(alias="from")
    subject: str = ""
    content: Annotated[list[Content], Field(min_length=1)]
    custom_args: Arguments | None = None


@dataclass(frozen=True, slots=True)
class Mail:
    """One mail to one address."""

    to: str
    sender: str
    subject: str
    body: str
    delivery_id: str | None


def refusal(status: int, message: str, field: str | None) -> Refused:
    """Return a refusal as SendGrid writes it."""
    return Refused(status, {"errors": [{"message": message, "field": field, "help": None}]})


def mails_of(body: bytes) -> list[Mail]:
    """Return the mails of a request body; raise Refused with the bad field."""
    try:
        return list(_mails(SendRequest.model_validate_json(body)))
    except ValidationError as error:
        fault = fault_of(error)
        message = f"{fault['error']} {fault.get('details', '')}".strip()
        raise refusal(400, message, fault["error"].partition(": ")[2] or None) from None


def _mails(request: SendRequest) -> Iterator[Mail]:
    for personalization in request.personalizations:
        arguments = {**(request.custom_args or {}), **(personalization.custom_args or {})}
        for recipient in personalization.to:
            yield Mail(
                recipient.email,
                request.sender.email,
                personalization.subject or request.subject,
                request.content[0].value,
                arguments.get("delivery_id"),
            )
