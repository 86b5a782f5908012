"""The transfers of a payment, and the internal accounts that they move."""

from collections.abc import Mapping

from confirm.domain.payment import Payment
from double_entry.rules import Account, Ledger, Transfer

INTERNAL = ("in-flight:", "clearing:", "equity:")
"""Prefixes of the names of internal accounts."""


def ledger(accounts: Mapping[str, Account]) -> Ledger:
    """Return the ledger of a batch whose customers' accounts are locked."""
    return Ledger(accounts, INTERNAL)


def in_flight(currency: str) -> str:
    """Return the internal account of held money."""
    return f"in-flight:{currency}"


def clearing(partner: str, currency: str) -> str:
    """Return the internal account of money settled at a partner bank."""
    return f"clearing:{partner}:{currency}"


def hold(payment: Payment) -> Transfer:
    """Return the transfer of a confirmed payment: customer → in flight."""
    return _transfer(payment, "HOLD", payment.from_account, in_flight(payment.currency))


def settle(payment: Payment, partner: str) -> Transfer:
    """Return the transfer of a settled payment: in flight → clearing."""
    partner_account = clearing(partner, payment.currency)
    return _transfer(payment, "SETTLE", in_flight(payment.currency), partner_account)


def release(payment: Payment) -> Transfer:
    """Return the transfer of a rejected payment: in flight → customer."""
    return _transfer(payment, "RETURN", in_flight(payment.currency), payment.from_account)


def _transfer(payment: Payment, kind: str, debit_account: str, credit_account: str) -> Transfer:
    return Transfer(
        source_id=payment.id,
        kind=kind,
        debit_account=debit_account,
        credit_account=credit_account,
        amount_minor=payment.amount_minor,
        currency=payment.currency,
    )
