"""Disputes: a cardholder's bank takes a payment back, and the provider says how it ends. Pure.

The provider withdraws the amount when the dispute is opened. The merchant's account bears what is
left of the charge; what exceeds it, after a refund, is a cost of ours that a person looks at.
"""

from dataclasses import dataclass, replace
from enum import StrEnum
from uuid import UUID

from charges.domain.charge import Charge
from charges.domain.postings import merchant
from double_entry.rules import Transfer
from payment_schemas.money import Money


class DisputeStatus(StrEnum):
    """Where a dispute stands; OPEN is the only one that changes."""

    OPEN = "OPEN"
    WON = "WON"
    """The provider has given the amount back."""
    LOST = "LOST"


@dataclass(frozen=True, slots=True)
class DisputeNews:
    """What a webhook says of a dispute."""

    dispute_id: str
    """The provider's id of the dispute."""
    provider_reference: str
    """The provider's id of the payment."""
    money: Money
    status: DisputeStatus
    reason: str


@dataclass(frozen=True, slots=True)
class Dispute:
    """A dispute of a charge."""

    id: UUID
    charge_id: UUID
    user_id: str
    provider: str
    dispute_id: str
    money: Money
    held_minor: int
    """What the merchant's account bears."""
    reason: str
    status: DisputeStatus = DisputeStatus.OPEN


@dataclass(frozen=True, slots=True)
class Booked:
    """A dispute and its charge after news, with the transfers; without a change, without any."""

    dispute: Dispute
    charge: Charge
    transfers: tuple[Transfer, ...] = ()


def opened(charge: Charge, news: DisputeNews, row_id: UUID) -> Booked:
    """Return a new dispute, which reserves what is left of its charge."""
    held = max(0, min(news.money.amount_minor, charge.refundable_minor))
    dispute = Dispute(
        row_id,
        charge.id,
        charge.user_id,
        charge.provider or "",
        news.dispute_id,
        news.money,
        held,
        news.reason,
    )
    return Booked(dispute, _changed(charge, held), _transfer(dispute, "DISPUTE_HOLD"))


def after_news(booked: Booked, status: DisputeStatus) -> Booked:
    """Return what follows from a later status; an end never changes, and nothing opens again."""
    dispute = booked.dispute
    if dispute.status is not DisputeStatus.OPEN or status is DisputeStatus.OPEN:
        return booked
    ended = replace(dispute, status=status)
    if status is DisputeStatus.LOST:
        more = _transfer(dispute, "DISPUTE_LOST")
        charge = replace(booked.charge, version=booked.charge.version + 1)
    else:
        more = _transfer(dispute, "DISPUTE_WON")
        charge = _changed(booked.charge, -dispute.held_minor)
    return Booked(ended, charge, (*booked.transfers, *more))


def _changed(charge: Charge, more_minor: int) -> Charge:
    disputed = charge.disputed_minor + more_minor
    return replace(charge, disputed_minor=disputed, version=charge.version + 1)


def _transfer(dispute: Dispute, kind: str) -> tuple[Transfer, ...]:
    if not dispute.held_minor:
        return ()
    currency = dispute.money.currency
    own, disputed = merchant(dispute.user_id, currency), f"disputed:{dispute.provider}:{currency}"
    debit, credit = {
        "DISPUTE_HOLD": (own, disputed),
        "DISPUTE_WON": (disputed, own),
        "DISPUTE_LOST": (disputed, f"equity:{dispute.provider}:{currency}"),
    }[kind]
    return (Transfer(dispute.id, kind, debit, credit, dispute.held_minor, currency),)
