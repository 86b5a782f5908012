"""The facts about one payment that the invariants compare, service by service."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime


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
    transport: str = "http"
    """`kafka` if the bank takes its instructions from a topic: its book is seldom at hand."""


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


@dataclass(frozen=True, slots=True)
class PaymentRecords:
    """The rows of every service for one payment id."""

    payment: Payment | None
    instruction: Instruction | None
    timeline: Timeline | None
    challenges: Challenges | None = None
    assessment: Assessment | None = None
    deliveries: Deliveries | None = None
    movements: Sequence[Movement] | None = None
    """None: no statement was read, or it does not cover the payment."""


@dataclass(frozen=True, slots=True)
class Fault:
    """A violated invariant, with details."""

    invariant: str
    details: str
