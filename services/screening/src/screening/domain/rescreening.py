"""New hits of a changed list: what is reported about which payment. Pure."""

from dataclasses import dataclass
from typing import Literal
from uuid import UUID

from payment_schemas.events.confirmation import ReviewOpened
from payment_schemas.events.risk import Party as PartyOfPayment
from payment_schemas.events.risk import Screening
from screening.domain.results import Outcome


@dataclass(frozen=True, slots=True)
class ScreenedPayment:
    """A payment that other lists have screened. Its name is sealed for it."""

    payment_id: UUID
    user_id: str
    transaction_id: str
    from_account: str
    to_account: str
    amount_minor: int
    currency: str
    sealed_to_name: str | None
    risk_score: int
    lists_version: str
    outcome: Literal["CONFIRMED"] | None
    """None: it is open."""


@dataclass(frozen=True, slots=True)
class NewHit:
    """An entry of a changed list that a party of a payment hits."""

    payment: ScreenedPayment
    party: PartyOfPayment
    list_name: str
    entry_id: str
    list_version: str
    match_score: int
    by: tuple[str, ...]

    @property
    def account_id(self) -> str:
        """The party's account."""
        is_debtor = self.party == "debtor"
        return self.payment.from_account if is_debtor else self.payment.to_account

    @property
    def key(self) -> tuple[UUID, str, str, str]:
        """What is reported once."""
        return self.payment.payment_id, self.party, self.list_name, self.entry_id


def new_hit(payment: ScreenedPayment, party: PartyOfPayment, outcome: Outcome) -> NewHit | None:
    """Return the hit of a result, None where there is none."""
    entry = outcome.entry
    if entry is None:
        return None
    return NewHit(
        payment, party, entry.list_name, entry.id, outcome.version, outcome.score, outcome.by
    )


def review_of(hit: NewHit) -> ReviewOpened:
    """Return the event that opens a case; it names the entry by its id alone."""
    payment = hit.payment
    return ReviewOpened.model_validate(
        {
            "payment_id": payment.payment_id,
            "user_id": payment.user_id,
            "transaction_id": payment.transaction_id,
            "reasons": ("risk",),
            "amount_minor": payment.amount_minor,
            "currency": payment.currency,
            "risk_score": payment.risk_score,
            "screening": Screening.model_validate(
                {
                    "party": hit.party,
                    "hit": True,
                    "list_version": hit.list_version,
                    "match_score": hit.match_score,
                    "by": hit.by,
                    "list_name": hit.list_name,
                    "entry": hit.entry_id,
                }
            ),
        }
    )
