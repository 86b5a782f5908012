"""Amounts for people. Pure."""

from payment_schemas.money import DECIMALS, Money


def money(amount_minor: int, currency: str) -> str:
    """Return an amount with its currency; one in an unknown currency in minor units."""
    if currency not in DECIMALS:
        return f"{amount_minor} minor units of {currency}"
    return str(Money(amount_minor, currency))
