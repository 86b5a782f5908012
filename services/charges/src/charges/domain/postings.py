"""The transfers of charges and refunds. A capture's cost is ours; the merchant gets the amount.

`equity:` accounts have no lower limit: a provider's is what it owes us, negative.
"""

from datetime import date
from uuid import UUID

from charges.domain.charge import Charge
from charges.domain.refund import Refund
from charges.domain.tariffs import cost_minor
from double_entry.rules import Transfer

FEE = "FEE"
INTERNAL = ("merchant:", "refunding:", "disputed:", "fees:", "equity:")


def merchant(user_id: str, currency: str) -> str:
    """Return the account of a merchant: the user on whose behalf customers are charged."""
    return f"merchant:{user_id}:{currency}"


def capture_transfers(charge: Charge, day: date) -> list[Transfer]:
    """Return the transfers of a capture: the amount to the merchant, the cost to the provider."""
    provider, currency = charge.provider or "", charge.money.currency
    transfers = [
        Transfer(
            charge.id,
            "CAPTURE",
            f"equity:{provider}:{currency}",
            merchant(charge.user_id, currency),
            charge.captured_minor,
            currency,
        )
    ]
    if cost := cost_minor(provider, charge.money, day):
        fees = f"fees:{provider}:{currency}"
        transfers.append(Transfer(charge.id, FEE, f"equity:costs:{currency}", fees, cost, currency))
    return transfers


def refund_hold(refund: Refund) -> Transfer:
    """Return the transfer of a requested refund: the merchant can no longer use the amount."""
    account = merchant(refund.user_id, refund.money.currency)
    return _refund(refund.id, "REFUND_HOLD", account, _refunding(refund), refund)


def refund_outcome(refund: Refund, *, is_done: bool) -> Transfer:
    """Return the transfer of a refund's outcome: to the provider, or back to the merchant."""
    if is_done:
        provider = f"equity:{refund.provider}:{refund.money.currency}"
        return _refund(refund.id, "REFUND", _refunding(refund), provider, refund)
    account = merchant(refund.user_id, refund.money.currency)
    return _refund(refund.id, "REFUND_RELEASE", _refunding(refund), account, refund)


def _refunding(refund: Refund) -> str:
    return f"refunding:{refund.provider}:{refund.money.currency}"


def _refund(source: UUID, kind: str, debit: str, credit: str, refund: Refund) -> Transfer:
    return Transfer(source, kind, debit, credit, refund.money.amount_minor, refund.money.currency)
