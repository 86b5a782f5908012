"""What a draft is made of: a case with its payments."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID
from zoneinfo import ZoneInfo

from compliance.domain.cases import Case, Reason
from compliance.domain.payments import whole_dollars


@dataclass(frozen=True, slots=True, kw_only=True)
class EvidencePayment:
    """What is known of a payment that a case names; None is unknown."""

    payment_id: UUID
    transaction_id: str | None = None
    at: datetime
    """When it was confirmed, else when it became evidence."""
    account: str | None = None
    payee: str | None = None
    amount_minor: int | None = None
    currency: str | None = None
    amount_usd_minor: int | None = None
    branch: str | None = None
    score: int | None = None
    reasons: Sequence[Reason] = ()


@dataclass(frozen=True, slots=True)
class Filing:
    """A case with its evidence, to be reported on a day."""

    case: Case
    payments: Sequence[EvidencePayment]
    notes: Sequence[str]
    on: date
    zone: ZoneInfo

    @property
    def total_dollars(self) -> int | None:
        """Whole US dollars, rounded up; None: no amount is known."""
        known = [one.amount_usd_minor for one in self.payments if one.amount_usd_minor is not None]
        return whole_dollars(sum(known)) if known else None

    @property
    def accounts(self) -> Sequence[str]:
        """The accounts of the person, without repeats."""
        return sorted({one.account for one in self.payments if one.account})

    def day_of(self, payment: EvidencePayment) -> date:
        """Return the bank's day of a payment."""
        return payment.at.astimezone(self.zone).date()
