"""What settlement and a partner bank tell each other, apart from any format."""

from datetime import date
from enum import StrEnum
from typing import Annotated, ClassVar, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    field_validator,
    model_validator,
)
from pydantic_core.core_schema import ValidationInfo

from partner_messages.fields import BankReference, ReasonCode, UniqueReference, UtcTime
from payment_schemas.ids import AccountId, TransactionId
from payment_schemas.money import Currency, Money, amount_minor_of

MAX_ENTRIES = 1000
"""Entries of one page of a statement: as JSON or XML far below Kafka's 1 MB for a record."""


def instructions_topic(partner: str) -> str:
    """Return the topic of a partner's instructions."""
    return f"settlement.instructions.{partner}.v1"


def reports_topic(partner: str) -> str:
    """Return the topic of a partner's reports and statements."""
    return f"settlement.reports.{partner}.v1"


class Message(BaseModel):
    """A message. Readers ignore unknown fields, so messages can grow."""

    model_config = ConfigDict(frozen=True, extra="ignore", strict=True)


class _Amount(Message):
    """An amount as decimal text with the currency's decimals, such as `5200.00`."""

    # The currency is checked first: an amount's decimals depend on it.
    currency: Currency
    amount: str

    @field_validator("amount")
    @classmethod
    def _amount_of_money(cls, amount: str, info: ValidationInfo) -> str:
        # A wrong currency is refused with its own field's name.
        if "currency" in info.data:
            amount_minor_of(amount, info.data["currency"])
        return amount

    @property
    def money(self) -> Money:
        """The amount in minor units."""
        return Money(amount_minor_of(self.amount, self.currency), self.currency)


class Party(Message):
    """An account and the bank that holds it."""

    account: AccountId
    agent: Annotated[str, StringConstraints(pattern=r"^[a-z0-9\-]{3,32}$")]
    """The bank's id at Countersign, such as `north-bank`."""


class Instruction(_Amount):
    """Settlement asks the bank for one transfer. Repeated instructions are equal."""

    ce_type: ClassVar = "settlement.instruction.v1"

    uetr: UniqueReference
    end_to_end_id: TransactionId
    debtor: Party
    creditor: Party
    requested_at: UtcTime
    expires_at: UtcTime | None = None
    """The bank must not book the transfer from then on; None: it has no such time."""


class Status(StrEnum):
    """What has become of a transfer."""

    ACCEPTED = "ACCEPTED"
    """Booked: it will not be undone without a reversal on a statement."""
    PENDING = "PENDING"
    """Known and undecided: another report follows."""
    REJECTED = "REJECTED"
    """Not booked, and never will be."""


class Report(Message):
    """The bank tells settlement what has become of one transfer."""

    ce_type: ClassVar = "settlement.report.v1"

    uetr: UniqueReference
    status: Status
    reason: ReasonCode | None = None
    """Why the transfer was rejected, or waits."""
    bank_reference: BankReference | None = None
    booked_at: UtcTime | None = None

    @model_validator(mode="after")
    def _fits_its_status(self) -> Self:
        if self.status is Status.REJECTED and self.reason is None:
            raise ValueError("reason: a rejection needs one")
        if self.status is Status.ACCEPTED and self.reason is not None:
            raise ValueError("reason: an accepted transfer has none")
        if self.status is not Status.ACCEPTED and self.booked_at is not None:
            raise ValueError("booked_at: only an accepted transfer is booked")
        return self


class StatementEntry(_Amount):
    """One movement of money that the bank has booked."""

    uetr: UniqueReference
    is_reversal: bool = False
    """Whether the bank has taken a booking of this transfer back. The amount stays positive."""
    bank_reference: BankReference
    booked_at: UtcTime


class StatementPage(Message):
    """One page of a bank's statement of a day (UTC). The pages of a statement have one id."""

    ce_type: ClassVar = "settlement.statement.v1"

    statement_id: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._:\-]{1,35}$")]
    day: date
    page: Annotated[int, Field(ge=1, le=99_999)]
    """From 1 on. Source of the bound: ISO 20022, Max5NumericText."""
    is_last: bool
    entries: Annotated[tuple[StatementEntry, ...], Field(max_length=MAX_ENTRIES)]
