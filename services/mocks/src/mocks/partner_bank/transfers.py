"""Transfers as partner banks see them, and how each payee behaves. Pure."""

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
    """A transfer as a client asks for it."""

    uetr: UUID4
    end_to_end_id: Annotated[str, StringConstraints(min_length=1, max_length=64)]
    currency: Currency
    amount: str
    debtor_account: AccountId
    creditor_account: AccountId

    @field_validator("amount")
    @classmethod
    def _amount_of_money(cls, amount: str, info: ValidationInfo) -> str:
        # A currency that is wrong is refused under its own name.
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
    """Transfers that are asked about."""

    uetrs: Annotated[list[UUID], Field(min_length=1, max_length=MAX_ITEMS)]


@dataclass(frozen=True, slots=True)
class TransferOrder:
    """What makes two requests the same transfer."""

    uetr: str
    end_to_end_id: str
    money: Money
    debtor_account: str
    creditor_account: str


@dataclass(frozen=True, slots=True)
class Transfer:
    """A transfer that a bank has taken in; its outcome is fixed, though it may not be due yet."""

    order: TransferOrder
    bank_reference: str
    booked_at: datetime | None
    """When the money moves, in UTC; None: the transfer was rejected."""
    reason: str | None = None

    def status(self, now: datetime) -> Status:
        """Return what the bank says of it at this time."""
        if self.booked_at is None:
            return "REJECTED"
        return "ACCEPTED" if self.booked_at <= now else "PENDING"


class Outcome(TypedDict):
    """What the bank answers about one transfer."""

    uetr: str
    status: Status
    reason: str | None
    bank_reference: str | None


def order_of(asked: Instruction) -> TransferOrder:
    """Return the order in a client's instruction."""
    return TransferOrder(
        str(asked.uetr),
        asked.end_to_end_id,
        asked.money,
        asked.debtor_account,
        asked.creditor_account,
    )


def take_in(partner: str, order: TransferOrder, now: datetime, late: timedelta) -> Transfer:
    """Decide what becomes of an order, by its creditor."""
    if is_payee(order, MISMATCHED_PAYEE):
        # The bank has this UETR already, for another transfer.
        money = Money(order.money.amount_minor + 1, order.money.currency)
        order = replace(order, money=money)
    reference = hashlib.sha256(f"{partner} {order.uetr}".encode()).hexdigest()[:12].upper()
    if is_payee(order, REJECTED_PAYEE):
        return Transfer(order, reference, None, REJECTED_REASON)
    return Transfer(order, reference, now + late if is_payee(order, LATE_PAYEE) else now)


def is_payee(order: TransferOrder, payee: str) -> bool:
    """Tell whether the creditor is this payee, at whichever bank: `north-payee-late` is one."""
    return is_at(order.creditor_account, payee)


def is_at(account: str, payee: str) -> bool:
    """Tell whether an account is this payee's, at whichever bank."""
    return f"-{account}".endswith(f"-{payee}")


def outcome(transfer: Transfer, now: datetime) -> Outcome:
    """Return what an enquiry is told; of a garbled payee's transfer nothing intelligible."""
    garbled = is_payee(transfer.order, GARBLED_PAYEE)
    return Outcome(
        uetr=transfer.order.uetr,
        status="?" if garbled else transfer.status(now),
        reason=transfer.reason,
        bank_reference=transfer.bank_reference,
    )


def batch_outcome(transfer: Transfer, now: datetime) -> Outcome:
    """Return what the sender of a batch is told: a silent payee's bank says nothing definite."""
    told = outcome(transfer, now)
    if is_payee(transfer.order, SILENT_PAYEE):
        told["status"] = "PENDING"
    return told


def not_found(uetr: str) -> Outcome:
    """Return what an enquiry about an unknown transfer is told."""
    return Outcome(uetr=uetr, status="NOT_FOUND", reason=None, bank_reference=None)
