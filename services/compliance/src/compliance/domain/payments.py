"""A payment with its user's history, as facts for conditions."""

from dataclasses import dataclass
from datetime import datetime

from compliance.domain.fields import Facts, Value

CENTS = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedPayment:
    """What is known of a payment; None is unknown, and no fact."""

    user_id: str
    payee: str | None = None
    type: str = "TRANSFER"
    amount_minor: int | None = None
    amount_usd_minor: int | None = None
    currency: str | None = None
    country: str | None = None
    """ISO 3166-1 alpha-2 of where the request is from."""
    at: datetime
    debtor_hit: bool | None = None
    creditor_hit: bool | None = None
    match_score: int | None = None
    list_version: str | None = None
    kyc: str | None = None


@dataclass(frozen=True, slots=True)
class History:
    """The payer's confirmed payments before a payment."""

    payments_24h: int = 0
    amount_24h_usd_minor: int = 0
    payee_known: bool = False
    monitored: bool = False


def facts_of(payment: CheckedPayment, history: History) -> Facts:
    """Return the facts that are known of a payment."""
    facts = _transaction(payment) | _parties(payment) | _screening(payment) | _history(history)
    return {name: value for name, value in facts.items() if value is not None}


def _transaction(payment: CheckedPayment) -> dict[str, Value | None]:
    usd_minor = payment.amount_usd_minor
    return {
        "transaction.type": payment.type,
        "transaction.amount": None if usd_minor is None else whole_dollars(usd_minor),
        "transaction.amount_minor": payment.amount_minor,
        "transaction.amount_usd_minor": usd_minor,
        "transaction.currency": payment.currency,
        "transaction.at": payment.at,
    }


def _parties(payment: CheckedPayment) -> dict[str, Value | None]:
    return {
        "user.id": payment.user_id,
        "user.jurisdiction": payment.country,
        "user.sanctionStatus": _sanction_status(payment.debtor_hit),
        "user.kycStatus": payment.kyc and payment.kyc.upper(),
        "payee.account": payment.payee,
        "payee.sanctionStatus": _sanction_status(payment.creditor_hit),
    }


def _screening(payment: CheckedPayment) -> dict[str, Value | None]:
    hits = (payment.debtor_hit, payment.creditor_hit)
    return {
        # One hit is one, whatever is unknown of the other party.
        "screening.hit": True if True in hits else None if None in hits else False,
        "screening.match_score": payment.match_score,
        "screening.list_version": payment.list_version,
    }


def _history(history: History) -> dict[str, Value | None]:
    return {
        "user.monitored": history.monitored,
        "history.payments_24h": history.payments_24h,
        "history.amount_24h": whole_dollars(history.amount_24h_usd_minor),
        "history.payee_known": history.payee_known,
    }


def _sanction_status(hit: bool | None) -> str | None:  # noqa: FBT001 - a fact, not an option
    return None if hit is None else "HIT" if hit else "CLEAR"


def whole_dollars(usd_minor: int) -> int:
    """Return whole US dollars, rounded up. Source: FinCEN's instructions for CTR and SAR."""
    return -(-usd_minor // CENTS)
