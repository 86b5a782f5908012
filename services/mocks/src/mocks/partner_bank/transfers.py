"""Transfers of partner banks, and the behaviour of each payee. Pure."""

import hashlib
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Annotated, Literal, TypedDict
from uuid import UUID

from pydantic import UUID4, Field, StringConstraints, field_validator
from pydantic_core.core_schema import ValidationInfo

from mocks.bodies import MAX_ITEMS, Body
from payment_schemas.ids import AccountId
from payment_schemas.money import DEFAULT_CURRENCY, Currency, Money, amount_minor_of

Status = Literal["ACCEPTED", "REJECTED", "PENDING", "NOT_FOUND", "?"]

REJECTED_PAYEE = "payee-rejected"
LATE_PAYEE = "payee-late"
SILENT_PAYEE = "payee-silent"
REFUSED_PAYEE = "payee-refused"
GARBLED_PAYEE = "payee-garbled"
MISMATCHED_PAYEE = "payee-mismatched"
REJECTED_REASON = "account_closed"


class Instruction(Body):
    """A requested transfer."""

    uetr: UUID4
    end_to_end_id: Annotated[str, StringConstraints(min_length=1, max_length=64)]
    currency: Currency
    amount: str
    debtor_account: AccountId
    creditor_account: AccountId

    @field_validator("amount")
    @classmethod
    def _amount_of_money(cls, amount: str, info: ValidationInfo) -> str:
        # A wrong currency is refused with its own field name.
        amount_minor_of(amount, info.data.get("currency", DEFAULT_CURRENCY))
        return amount

    @property
    def money(self) -> Money:
        """The amount in minor units."""
        return Money(amount_minor_of(self.amount, self.currency), self.currency)


class Instructions(Body):
    """Several transfers in one message."""

    transfers: Annotated[list[Instruction], Field(min_length=1, max_length=MAX_ITEMS)]


class Enquiry(Body):
    """The transfers of an enquiry."""

    uetrs: Annotated[list[UUID], Field(min_length=1, max_length=MAX_ITEMS)]


@dataclass(frozen=True, slots=True)
class TransferOrder:
    """The fields that identify a transfer: equal orders are the same transfer."""

    uetr: str
    end_to_end_id: str
    money: Money
    debtor_account: str
    creditor_account: str


@dataclass(frozen=True, slots=True)
class Transfer:
    """An accepted transfer; its outcome is fixed, but may be due later."""

    order: TransferOrder
    bank_reference: str
    booked_at: datetime | None
    """Time of the booking, in UTC; None: the transfer was rejected."""
    reason: str | None = None

    def status(self, now: datetime) -> Status:
        """Return the status at this time."""
        if self.booked_at is None:
            return "REJECTED"
        return "ACCEPTED" if self.booked_at <= now else "PENDING"


class Outcome(TypedDict):
    """The bank's result for one transfer."""

    uetr: str
    status: Status
    reason: str | None
    bank_reference: str | None


def order_of(instruction: Instruction) -> TransferOrder:
    """Return the order of a client's instruction."""
    return TransferOrder(
        str(instruction.uetr),
        instruction.end_to_end_id,
        instruction.money,
        instruction.debtor_account,
        instruction.creditor_account,
    )


def accept(partner: str, order: TransferOrder, now: datetime, late: timedelta) -> Transfer:
    """Decide the outcome of an order, by its creditor."""
    if is_payee(order, MISMATCHED_PAYEE):
        # The bank already has this UETR for another transfer.
        money = Money(order.money.amount_minor + 1, order.money.currency)
        order = replace(order, money=money)
    reference = hashlib.sha256(f"{partner} {order.uetr}".encode()).hexdigest()[:12].upper()
    if is_payee(order, REJECTED_PAYEE):
        return Transfer(order, reference, None, REJECTED_REASON)
    return Transfer(order, reference, now + late if is_payee(order, LATE_PAYEE) else now)


def is_payee(order: TransferOrder, payee: str) -> bool:
    """Return whether the creditor is this payee at any bank, such as `north-payee-late`."""
    return is_at(order.creditor_account, payee)


def is_at(account: str, payee: str) -> bool:
    """Return whether an account is this payee's at any bank."""
    return f"-{account}".endswith(f"-{payee}")


def outcome(transfer: Transfer, now: datetime) -> Outcome:
    """Return the result of an enquiry; for a garbled payee an unreadable status."""
    garbled = is_payee(transfer.order, GARBLED_PAYEE)
    return Outcome(
        uetr=transfer.order.uetr,
        status="?" if garbled else transfer.status(now),
        reason=transfer.reason,
        bank_reference=transfer.bank_reference,
    )


def batch_outcome(transfer: Transfer, now: datetime) -> Outcome:
    """Return the result for a batch; for a silent payee it is never definite."""
    result = outcome(transfer, now)
    if is_payee(transfer.order, SILENT_PAYEE):
        result["status"] = "PENDING"
    return result


def not_found(uetr: str) -> Outcome:
    """Return the result of an enquiry about an unknown transfer."""
    return Outcome(uetr=uetr, status="NOT_FOUND", reason=None, bank_reference=None)
