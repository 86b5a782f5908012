"""The double-entry ledger: journals that sum to zero, and the balance changes of a batch."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal
from uuid import UUID, uuid5

from confirm.domain.payment import Payment

JournalKind = Literal["HOLD", "SETTLE", "RETURN", "OPEN"]


@dataclass(frozen=True, slots=True)
class Account:
    """A customer's account, or a system account (`owner` is None)."""

    id: str
    owner: str | None
    currency: str
    balance_minor: int
    minimum_minor: int | None = 0
    """None: no lower limit (the equity account of openings)."""


@dataclass(frozen=True, slots=True)
class Journal:
    """A transfer between two accounts; its two entries sum to zero."""

    id: UUID
    payment_id: UUID
    kind: JournalKind
    debit_account: str
    credit_account: str
    amount_minor: int
    currency: str


def in_flight(currency: str) -> str:
    """Return the system account of held money."""
    return f"in-flight:{currency}"


def clearing(partner: str, currency: str) -> str:
    """Return the system account of money settled at a partner bank."""
    return f"clearing:{partner}:{currency}"


def hold(payment: Payment) -> Journal:
    """Return the journal of a confirmed payment: customer → in flight."""
    return _journal(payment, "HOLD", payment.from_account, in_flight(payment.currency))


def settle(payment: Payment, partner: str) -> Journal:
    """Return the journal of a settled payment: in flight → clearing."""
    partner_account = clearing(partner, payment.currency)
    return _journal(payment, "SETTLE", in_flight(payment.currency), partner_account)


def release(payment: Payment) -> Journal:
    """Return the journal of a rejected payment: in flight → customer."""
    return _journal(payment, "RETURN", in_flight(payment.currency), payment.from_account)


def _journal(
    payment: Payment, kind: JournalKind, debit_account: str, credit_account: str
) -> Journal:
    return Journal(
        id=uuid5(payment.id, kind),
        payment_id=payment.id,
        kind=kind,
        debit_account=debit_account,
        credit_account=credit_account,
        amount_minor=payment.amount_minor,
        currency=payment.currency,
    )


@dataclass(slots=True)
class Ledger:
    """Locked customer accounts and a batch's journals; a funds check includes earlier journals."""

    accounts: Mapping[str, Account]
    journals: list[Journal] = field(default_factory=list)
    deltas: defaultdict[str, int] = field(default_factory=lambda: defaultdict(int))
    """Change of each account's balance, in minor units."""

    def covers(self, payment: Payment) -> bool:
        """Return whether the payer's balance covers the payment now."""
        account = self.accounts.get(payment.from_account)
        if account is None or account.currency != payment.currency:
            return False
        remaining = account.balance_minor + self.deltas[account.id] - payment.amount_minor
        return account.minimum_minor is None or remaining >= account.minimum_minor

    def post(self, journal: Journal) -> None:
        """Add a journal and change both balances."""
        self.journals.append(journal)
        self.deltas[journal.debit_account] -= journal.amount_minor
        self.deltas[journal.credit_account] += journal.amount_minor
