"""Types of fields that several messages have, and the fault of a field."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any, TypeVar

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    StringConstraints,
    ValidationError,
)
from pydantic.types import UUID4

from partner_messages.errors import Malformed
from payment_schemas.money import DECIMALS, Money, minor_units

M = TypeVar("M", bound=BaseModel)


def _utc(time: datetime) -> datetime:
    try:
        return time.astimezone(UTC)
    except OverflowError:
        # The first and the last day that there are, in a zone that moves them out of range.
        raise ValueError("out of range") from None


UtcTime = Annotated[AwareDatetime, AfterValidator(_utc)]
"""A time with its zone; stored in UTC."""
UniqueReference = UUID4
"""The UETR (ISO 20022: UUIDv4Identifier): the idempotency key of a transfer."""
BankReference = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.:/\-]{1,64}$")]
"""A bank's own reference. It goes into topics and logs: never prose with names."""
ReasonCode = Annotated[str, StringConstraints(pattern=r"^[A-Z0-9]{4}$")]
"""ISO 20022 external code (ExternalStatusReason1Code), such as AC04."""


def amount_text(number: Decimal, currency: str) -> str:
    """Return a number as an amount's text; what is no amount of the currency is as it was."""
    minor = minor_units(number, currency) if currency in DECIMALS else None
    return f"{number:f}" if minor is None else Money(minor, currency).major()


def built(model: type[M], **fields: Any) -> M:
    """Return a message of these fields. Raises Malformed naming the field."""
    try:
        return model(**fields)
    except ValidationError as error:
        raise first_fault(error) from None


def first_fault(error: ValidationError) -> Malformed:
    """Return the first broken field and its rule; never its value, which may be personal."""
    fault = error.errors(include_url=False, include_context=False, include_input=False)[0]
    field, details = ".".join(str(part) for part in fault["loc"]), fault["msg"]
    if not field and fault["type"] == "value_error":
        # A rule of several fields names the broken one itself.
        field, _, details = details.removeprefix("Value error, ").partition(": ")
    return Malformed(field or "value", details.removeprefix("Value error, "))
