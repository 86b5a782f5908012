"""The currencies that the platform can score; a base class of the settings of three services."""

from decimal import Decimal
from typing import Annotated

from pydantic import BaseModel, Field

from payment_schemas.money import Currency

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


class CurrencySettings(BaseModel):
    """The setting `USD_RATES` of gateway, confirm and risk.

    A currency without a rate is refused at the edge, and no account is opened in it, because risk
    could not score a payment in it.
    """

    usd_rates: dict[Currency, RatePerUnit] = USD_RATES
    """USD for one major unit of each currency."""

    @property
    def currencies(self) -> frozenset[str]:
        """The supported currencies."""
        return frozenset(self.usd_rates)
