"""Money as a type: integer minor units and a currency. Never a float."""

import re
from dataclasses import dataclass
from decimal import Context, Decimal, InvalidOperation
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

# ISO 4217 of 2026 (XCG replaced ANG, BGN is withdrawn): decimals ("minor unit") of each currency
# and fund, without codes that have no minor unit (metals, test codes, units of account). Compared
# with pycountry 26.2.16 of February 2026.
_NO_DECIMALS = "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF"
_THREE_DECIMALS = "BHD IQD JOD KWD LYD OMR TND"
_FOUR_DECIMALS = "CLF UYW"
_TWO_DECIMALS = (
    "AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BMD BND BOB BOV BRL BSD BTN BWP BYN BZD CAD"
    " CDF CHE CHF CHW CNY COP COU CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS"
    " GIP GMD GTQ GYD HKD HNL HTG HUF IDR ILS INR IRR JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD"
    " LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MXV MYR MZN NAD NGN NIO NOK NPR NZD PAB"
    " PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP"
    " SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD USN UYU UZS VED VES WST XAD XCD XCG YER ZAR ZMW"
    " ZWG"
)
DECIMALS: dict[str, int] = {
    code: places
    for places, codes in enumerate(
        (_NO_DECIMALS, "", _TWO_DECIMALS, _THREE_DECIMALS, _FOUR_DECIMALS)
    )
    for code in codes.split()
}
DEFAULT_CURRENCY = "USD"
MAX_INTEGER_DIGITS = 12
Instrument = Literal["ACCOUNT", "CASH"]
"""What funds a payment: the account's balance, or cash that the payer hands in at a branch."""
_WRITTEN = re.compile(r"([0-9]+)(?:\.([0-9]+))?", re.ASCII)
# Python's usual 28 digits would round the 40th decimal of an amount away and accept it.
_EXACT = Context(prec=200)


def _known_currency(code: str) -> str:
    if code not in DECIMALS:
        raise ValueError("must be an ISO 4217 currency code")
    return code


Currency = Annotated[str, AfterValidator(_known_currency)]
AmountMinor = Annotated[int, Field(gt=0, lt=10 ** (MAX_INTEGER_DIGITS + 4))]
"""A positive amount in the currency's minor unit."""


@dataclass(frozen=True, slots=True)
class Money:
    """An amount in the currency's minor unit. Source: ISO 4217. Never a float."""

    amount_minor: int
    currency: str

    def __str__(self) -> str:
        return f"{self.major()} {self.currency}"

    def major(self) -> str:
        """Return the amount in major units with the currency's decimals, such as `5200.00`."""
        return str(Decimal(self.amount_minor).scaleb(-DECIMALS[self.currency]))


def amount_minor_of(written: str, currency: str, *, positive: bool = True) -> int:
    """Return the minor units of an amount that is written in major units, such as `5200.00`.

    The text is digits, or digits, a point and decimals (zeros count). Raises ValueError with the
    broken rule.
    """
    found, places = _WRITTEN.fullmatch(written), DECIMALS[currency]
    is_too_low = positive and not written.strip("0.")
    if found is None or is_too_low or len(found[2] or "") > places:
        least = "positive" if positive else "0 or more"
        raise ValueError(f"must be {least}, with at most {places} decimals")
    if len(found[1]) > MAX_INTEGER_DIGITS:
        raise ValueError(f"must have at most {MAX_INTEGER_DIGITS} digits before the point")
    return int(found[1] + (found[2] or "").ljust(places, "0"))


def decimal_of(amount: str) -> Decimal:
    """Return an amount's text as an exact decimal; raise ValueError where it is not a number."""
    try:
        number = Decimal(amount)
    except InvalidOperation:
        raise ValueError("must be a number") from None
    if not number.is_finite():
        raise ValueError("must be a number")
    return number


def minor_units(number: Decimal, currency: str) -> int | None:
    """Return the amount in minor units, or None where the currency has too few decimals."""
    scaled = number.scaleb(DECIMALS[currency], context=_EXACT)
    whole = scaled.to_integral_value()
    return int(whole) if whole == scaled else None
