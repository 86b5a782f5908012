"""SendGrid's requests and refusals. Pure."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    ValidationInfo,
    field_validator,
)

from mocks.bodies import Refused, fault_of

MAX_RECIPIENTS = 1000
"""Of a request; also its personalizations. Source of all limits: SendGrid's v3 Mail Send."""
MAX_BYTES = 10_000
"""Of the substitutions, and of the custom arguments, of a personalization."""
Address = Annotated[str, StringConstraints(pattern=r"^[^@\s]+@[^@\s]+$", max_length=320)]
Tag = Annotated[str, StringConstraints(min_length=1)]


def _bounded(values: dict[str, str]) -> dict[str, str]:
    if sum(len(f"{name}{value}".encode()) for name, value in values.items()) >= MAX_BYTES:
        raise ValueError(f"must be less than {MAX_BYTES} bytes")
    return values


Arguments = Annotated[dict[Tag, str], AfterValidator(_bounded)]


class _Part(BaseModel):
    """A part of a mail; other fields of SendGrid are ignored."""

    model_config = ConfigDict(extra="ignore", frozen=True, strict=True)


class Recipient(_Part):
    """One address."""

    email: Address


class Personalization(_Part):
    """Recipients of the mail, with their own subject, arguments and substitutions."""

    to: Annotated[list[Recipient], Field(min_length=1, max_length=MAX_RECIPIENTS)]
    subject: str = ""
    custom_args: Arguments | None = None
    substitutions: Arguments | None = None
    """Texts that replace the tags in subject and content."""

    @field_validator("to")
    @classmethod
    def _each_once(cls, to: list[Recipient]) -> list[Recipient]:
        if len({one.email.lower() for one in to}) < len(to):
            raise ValueError("each email address in the personalization block should be unique")
        return to


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
    subject: Annotated[str, Field(validate_default=True)] = ""
    content: Annotated[list[Content], Field(min_length=1)]
    custom_args: Arguments | None = None

    @field_validator("personalizations")
    @classmethod
    def _not_too_many(cls, all_of_them: list[Personalization]) -> list[Personalization]:
        if sum(len(one.to) for one in all_of_them) > MAX_RECIPIENTS:
            raise ValueError(f"there is a limit of {MAX_RECIPIENTS} total recipients per request")
        return all_of_them

    @field_validator("subject")
    @classmethod
    def _every_mail_has_one(cls, subject: str, info: ValidationInfo) -> str:
        if not subject and not all(one.subject for one in info.data.get("personalizations", ())):
            raise ValueError("the subject is required unless every personalization has one")
        return subject


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
        texts = personalization.substitutions or {}
        for recipient in personalization.to:
            yield Mail(
                recipient.email,
                request.sender.email,
                _substituted(personalization.subject or request.subject, texts),
                _substituted(request.content[0].value, texts),
                arguments.get("delivery_id"),
            )


def _substituted(text: str, texts: Mapping[str, str]) -> str:
    """Replace the tags in one pass: a text that was put in is not searched again."""
    tags = "|".join(re.escape(tag) for tag in sorted(texts, key=len, reverse=True))
    return re.sub(tags, lambda found: texts[found[0]], text) if tags else text
