"""The rows that services export about a payment, as types."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pydantic import TypeAdapter

from payment_schemas.money import Money

Row = Mapping[str, Any]
"""A row of a service's response."""


@dataclass(frozen=True, slots=True)
class Payment:
    """A payment as confirm exports it."""

    payment_id: str
    transaction_id: str
    status: str
    version: int
    settlement_status: str
    uetr: str
    amount_minor: int
    currency: str
    updated_at: datetime
    settlement_version: int
    to_account: str
    risk_score: int | None
    challenge_number: int


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
    """A payment's entries in the audit log, by time, each with its version."""

    payment_id: str
    events: tuple[str, ...]
    versions: tuple[int | None, ...]


@dataclass(frozen=True, slots=True)
class Movement:
    """A movement of money on a bank's statement."""

    uetr: str
    partner: str
    end_to_end_id: str
    amount: str
    currency: str


@dataclass(frozen=True, slots=True)
class Challenge:
    """A challenge of otp and its state."""

    state: str
    attempts: int
    amount_minor: int
    currency: str
    payee: str


@dataclass(frozen=True, slots=True)
class Challenges:
    """A payment's challenges as otp exports them."""

    payment_id: str
    challenges: tuple[Challenge, ...]


@dataclass(frozen=True, slots=True)
class Assessment:
    """A payment's assessment as risk exports it."""

    payment_id: str
    status: str
    score: int | None
    sanctions: str | None
    kyc: str | None
    screenings: int


@dataclass(frozen=True, slots=True)
class Deliveries:
    """The templates of a payment's messages, as notification exports them: one each."""

    payment_id: str
    templates: tuple[str, ...]


# The types parse the rows; unknown fields are ignored.
payment_of = TypeAdapter(Payment).validate_python
instruction_of = TypeAdapter(Instruction).validate_python
timeline_of = TypeAdapter(Timeline).validate_python
challenges_of = TypeAdapter(Challenges).validate_python
assessment_of = TypeAdapter(Assessment).validate_python
deliveries_of = TypeAdapter(Deliveries).validate_python
movement_of = TypeAdapter(Movement).validate_python


def major(amount_minor: int, currency: str) -> str:
    """Return an amount in the format of a statement."""
    return Money(amount_minor, currency).major()
