"""The currencies that the platform can score, and amounts in US dollars."""

from collections.abc import Mapping
from decimal import ROUND_UP, Decimal
from typing import Annotated

from pydantic import BaseModel, Field

from payment_schemas.money import DECIMALS, Currency

RatePerUnit = Annotated[Decimal, Field(gt=0, lt=1_000_000)]

USD_RATES: dict[str, Decimal] = {
    "USD": Decimal(1),
    "EUR": Decimal("1.10"),
    "GBP": Decimal("1.30"),
    "CHF": Decimal("1.15"),
    "JPY": Decimal("0.0070"),
    "CAD": Decimal("0.75"),
    "AUD": Decimal("0.67"),
}
"""Indicative, for the amount bands of the risk score only; money is never converted by them."""


CENTS_PLACES = 2
"""Decimals of the US dollar."""


class UnknownRateError(ValueError):
    """The currency of an amount has no USD rate."""

    def __init__(self, currency: str) -> None:
        super().__init__(f"currency: no USD rate for {currency}")


def usd_minor_of(amount_minor: int, currency: str, rates: Mapping[str, Decimal]) -> int:
    """Return the amount in US cents, rounded up, so that a fraction of a cent reaches a band.

    Raises UnknownRateError if the currency has no rate.
    """
    if currency not in rates:
        raise UnknownRateError(currency)
    major = Decimal(amount_minor).scaleb(-DECIMALS[currency])
    cents = (major * rates[currency]).scaleb(CENTS_PLACES)
    return int(cents.to_integral_value(ROUND_UP))


class CurrencySettings(BaseModel):
    """The setting `USD_RATES` of gateway, confirm, risk, compliance and fraud.

    A currency without a rate is refused at the edge, and no account is opened in it, because risk
    could not score a payment in it.
    """

    usd_rates: dict[Currency, RatePerUnit] = USD_RATES
    """USD for one major unit of each currency."""

    @property
    def currencies(self) -> frozenset[str]:
        """The supported currencies."""
        return frozenset(self.usd_rates)
