"""What the bank answers: reports of transfers, pages of its statement. Pure."""

from collections.abc import Sequence
from datetime import date, datetime
from uuid import UUID

from mocks.partner_bank.ledger import Entry
from mocks.partner_bank.transfers import (
    REFUSED_PAYEE,
    SILENT_PAYEE,
    Transfer,
    TransferOrder,
    is_at,
    is_payee,
)
from partner_messages.messages import Instruction, Report, StatementEntry, StatementPage, Status

ACCOUNT_CLOSED = "AC04"
ACCOUNT_UNKNOWN = "AC01"
TOO_LATE = "TM01"
"""ISO 20022, ExternalStatusReason1Code."""


def order_of(instruction: Instruction) -> TransferOrder:
    """Return the order of an instruction."""
    return TransferOrder(
        str(instruction.uetr),
        instruction.end_to_end_id,
        instruction.money,
        instruction.debtor.account,
        instruction.creditor.account,
    )


def refusal_of(instruction: Instruction, now: datetime) -> Report | None:
    """Return the report of an instruction that never reaches the book."""
    reason = None
    if is_at(instruction.creditor.account, REFUSED_PAYEE):
        reason = ACCOUNT_UNKNOWN
    if instruction.expires_at is not None and instruction.expires_at <= now:
        reason = TOO_LATE
    if reason is None:
        return None
    return Report(uetr=instruction.uetr, status=Status.REJECTED, reason=reason)


def report_of(transfer: Transfer, now: datetime) -> Report:
    """Return the report of a transfer in the book."""
    status = Status(transfer.status(now))
    if is_payee(transfer.order, SILENT_PAYEE):
        status = Status.PENDING
    return Report(
        uetr=UUID(transfer.order.uetr),
        status=status,
        reason=ACCOUNT_CLOSED if status is Status.REJECTED else None,
        bank_reference=transfer.bank_reference,
        booked_at=transfer.booked_at if status is Status.ACCEPTED else None,
    )


def page_of(entries: Sequence[Entry], day: date, now: datetime, page: int) -> StatementPage:
    """Return a page of a day's statement; the first one without entries is the last."""
    return StatementPage(
        statement_id=f"{day}.{now:%Y%m%dT%H%M%S}",
        day=day,
        page=page,
        is_last=not entries,
        entries=tuple(_line_of(one) for one in entries),
    )


def _line_of(entry: Entry) -> StatementEntry:
    order, booked_at = entry.transfer.order, entry.transfer.booked_at
    assert booked_at is not None  # noqa: S101 - a statement lists what was booked
    return StatementEntry(
        uetr=UUID(order.uetr),
        amount=order.money.major(),
        currency=order.money.currency,
        bank_reference=entry.transfer.bank_reference,
        booked_at=booked_at,
    )
