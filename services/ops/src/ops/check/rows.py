"""What the owners export about a payment, as types."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from payment_schemas.money import Money


@dataclass(frozen=True, slots=True)
class Payment:
    """A payment as confirm exports it."""

    id: str
    transaction_id: str
    status: str
    version: int
    settlement_status: str
    uetr: str
    amount_minor: int
    currency: str
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class Instruction:
    """A settlement instruction as settlement exports it."""

    payment_id: str
    uetr: str
    partner: str
    status: str
    amount_minor: int
    currency: str


@dataclass(frozen=True, slots=True)
class Timeline:
    """A payment's entries in the audit log, by time; beside each the version that it carries."""

    payment_id: str
    events: tuple[str, ...]
    versions: tuple[int | None, ...]


@dataclass(frozen=True, slots=True)
class Movement:
    """Money that a bank's statement says was moved."""

    uetr: str
    partner: str
    end_to_end_id: str
    amount: str
    currency: str


def payment_of(row: Mapping[str, Any]) -> Payment:
    """Return the payment in an exported row."""
    return Payment(
        id=row["payment_id"],
        transaction_id=row["transaction_id"],
        status=row["status"],
        version=row["version"],
        settlement_status=row["settlement_status"],
        uetr=row["uetr"],
        amount_minor=row["amount_minor"],
        currency=row["currency"],
        updated_at=datetime.fromisoformat(row["updated_at"]),
    )


def instruction_of(row: Mapping[str, Any]) -> Instruction:
    """Return the instruction in an exported row."""
    return Instruction(
        payment_id=row["payment_id"],
        uetr=row["uetr"],
        partner=row["partner"],
        status=row["status"],
        amount_minor=row["amount_minor"],
        currency=row["currency"],
    )


def timeline_of(row: Mapping[str, Any]) -> Timeline:
    """Return the timeline in an exported row."""
    return Timeline(row["payment_id"], tuple(row["events"]), tuple(row["versions"]))


def movement_of(row: Mapping[str, Any]) -> Movement:
    """Return the movement in an entry of a statement."""
    return Movement(
        uetr=row["uetr"],
        partner=row["partner"],
        end_to_end_id=row["end_to_end_id"],
        amount=row["amount"],
        currency=row["currency"],
    )


def major(amount_minor: int, currency: str) -> str:
    """Return an amount as a statement writes it."""
    return Money(amount_minor, currency).major()
